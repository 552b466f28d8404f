"""Image files to arrays, one file per format."""
