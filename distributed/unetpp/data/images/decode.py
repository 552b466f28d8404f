"""Image files to arrays: the format is told by the first bytes, never by the name.

Rules: alpha is dropped, palettes of images become RGB, EXIF orientation is applied, grey stays one channel,
TIFF and NPY may have any number of channels. Images come out as uint8, uint16 or float32, H W C.
"""

from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetpp.data.images import npy as format_npy
from unetpp.data.images import pillow as format_pillow
from unetpp.data.images import tiff as format_tiff
from unetpp.data.images.header import Header, SampleError

__all__ = ["read_header", "read_image", "read_mask"]

_EXACT = 2**24
"""Whole numbers below it are what they were before they became float32."""
_MAGIC: tuple[tuple[bytes, ModuleType], ...] = (
    (b"\x89PNG\r\n\x1a\n", format_pillow),
    (b"\xff\xd8\xff", format_pillow),
    (b"BM", format_pillow),
    (b"RIFF", format_pillow),
    (b"II*\0", format_tiff),
    (b"MM\0*", format_tiff),
    (b"II+\0", format_tiff),
    (b"MM\0+", format_tiff),
    (b"\x93NUMPY", format_npy),
)


def read_header(data: bytes) -> Header:
    """Shape and dtype of an encoded image, without decoding its pixels.

    Raises:
        SampleError: the reason why the file cannot be used.
    """
    found: Header = _format_of(data).header(data)
    return found


def read_image(data: bytes) -> NDArray[Any]:
    """Decode an image, H W C.

    Raises:
        SampleError: the reason why the file cannot be used.
    """
    image: NDArray[Any] = _format_of(data).pixels(data)
    if image.dtype == np.float32 and not np.isfinite(image).all():
        raise SampleError("the image holds NaN or Inf; replace them")
    return image


def read_mask(data: bytes) -> NDArray[Any]:
    """Decode a mask's stored values, H W C: palette indices, grey values, colours or one channel per label.

    Raises:
        SampleError: the reason why the file cannot be used.
    """
    module = _format_of(data)
    mask: NDArray[Any] = format_pillow.index_pixels(data) if module is format_pillow else module.pixels(data)
    if mask.dtype == np.float32:
        in_range = bool(((mask >= 0) & (mask < _EXACT)).all())
        if not in_range or not np.array_equal(mask, np.rint(mask)):
            raise SampleError("a floating-point mask must hold class indices 0, 1, 2 ...")
        return mask.astype(np.uint16 if mask.max() <= np.iinfo(np.uint16).max else np.int32)
    return mask


def _format_of(data: bytes) -> ModuleType:
    if not data:
        raise SampleError("the file is empty")
    for magic, module in _MAGIC:
        if data.startswith(magic):
            return module
    raise SampleError(f"unknown format (first bytes {data[:4].hex()}); use PNG, JPEG, TIFF, BMP, WebP or NPY")
