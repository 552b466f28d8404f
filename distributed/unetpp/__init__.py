"""Nested U-Net (UNet++) image segmentation on Ray; parts are imported by their full name."""

__all__ = ["__version__"]

__version__ = "0.1.0"
