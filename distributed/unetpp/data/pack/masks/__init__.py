"""What the values of mask files mean: what was found in them, what is plausible, and how they are read."""
