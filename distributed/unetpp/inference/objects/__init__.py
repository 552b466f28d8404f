"""Objects in a prediction: found, measured and outlined."""
