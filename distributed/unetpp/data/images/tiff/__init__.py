"""TIFF files: any number of channels and bits, orientation, palettes, polarity, no-data, pages."""
