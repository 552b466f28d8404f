"""Images whose metadata name their axes and the size of their pixels: OME-TIFF, ImageJ and OME-Zarr."""
