"""What stored numbers mean: palettes, and white as zero."""

from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from unetpp.data.images.header import SampleError

__all__ = ["from_palette", "has_palette", "is_inverted", "non_negative"]


def has_palette(page: Any) -> bool:
    """Whether pixels are indices of colours."""
    return int(page.photometric) == tifffile.PHOTOMETRIC.PALETTE and page.colormap is not None


def from_palette(page: Any, indices: NDArray[Any]) -> NDArray[np.uint8]:
    """RGB of indices (Z) Y X 1."""
    colours = np.asarray(page.colormap).T
    # Colours have 16 bits; some programs fill the lower 8 only, which libtiff tells alike.
    colours = colours.astype(np.uint8) if colours.max() < 256 else (colours >> 8).astype(np.uint8)
    if indices.max() >= len(colours):
        raise SampleError(f"damaged TIFF: index {indices.max()} of {len(colours)} colours")
    rgb: NDArray[np.uint8] = colours[indices[..., 0]]
    return rgb


def is_inverted(tiff: tifffile.TiffFile, page: Any) -> bool:
    """Whether the program that wrote the file means dark where numbers are high.

    ImageJ marks its inverting lookup table so, which changes the display only: its numbers, and what it takes
    for objects in a mask, are those that are stored.
    """
    return int(page.photometric) == tifffile.PHOTOMETRIC.MINISWHITE and not tiff.is_imagej


def non_negative(array: NDArray[Any], bits: int) -> NDArray[Any]:
    """Black as zero, of a file with white as zero.

    Raises:
        SampleError: numbers without a largest one.
    """
    if array.dtype.kind == "b":
        return ~array
    if array.dtype.kind != "u":
        raise SampleError(f"an inverted (white is zero) TIFF of {array.dtype} has no defined meaning")
    return np.asarray(array.dtype.type(2**bits - 1) - array)
