"""From image and mask files to a packed dataset."""
