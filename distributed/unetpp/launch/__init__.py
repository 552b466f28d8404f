"""Ray clusters: started in this process or connected to."""
