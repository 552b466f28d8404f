"""Image files to arrays: the format is told by the first bytes, never by the name.

Rules: alpha is dropped, palettes of images become RGB, EXIF orientation is applied, grey stays one channel,
TIFF and NPY may have any number of channels. Images come out as uint8, uint16 or float32, H W C, volumes in
TIFF as Z H W C.
"""

from types import ModuleType

import numpy as np

from unetpp.data.images import npy as format_npy
from unetpp.data.images import pillow as format_pillow
from unetpp.data.images.header import Header, SampleError
from unetpp.data.images.pixels import PLAIN, Pixels, Reading
from unetpp.data.images.tiff import reader as format_tiff

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


def read_header(data: bytes, reading: Reading = PLAIN) -> Header:
    """Shape and dtype of an encoded image, as a rule without decoding its pixels.

    Raises:
        SampleError: the reason why the file cannot be used.
        UndecidedError: it has two meanings, and `reading` says nothing of them.
    """
    module = _format_of(data)
    if module is format_tiff:
        return format_tiff.header(data, reading)
    found: Header = module.header(data)
    return found


def read_image(data: bytes, reading: Reading = PLAIN) -> Pixels:
    """Decode an image.

    Raises:
        SampleError: the reason why the file cannot be used.
        UndecidedError: it has two meanings, and `reading` says nothing of them.
    """
    module = _format_of(data)
    return format_tiff.pixels(data, reading) if module is format_tiff else Pixels(module.pixels(data))


def read_mask(data: bytes, reading: Reading = PLAIN) -> Pixels:
    """Decode a mask's stored values: palette indices, grey values, colours or one channel per label.

    Where a mask holds no data its values are 0.

    Raises:
        SampleError: the reason why the file cannot be used.
    """
    module = _format_of(data)
    if module is format_tiff:
        pixels = format_tiff.index_pixels(data, reading)
    else:
        pixels = Pixels(format_pillow.index_pixels(data) if module is format_pillow else module.pixels(data))
    mask = pixels.values if pixels.valid is None else pixels.values * pixels.valid[..., None]
    if mask.dtype == np.float32:
        in_range = bool(((mask >= 0) & (mask < _EXACT)).all())
        if not in_range or not np.array_equal(mask, np.rint(mask)):
            raise SampleError("a floating-point mask must hold class indices 0, 1, 2 ...")
        mask = mask.astype(np.uint16 if mask.max() <= np.iinfo(np.uint16).max else np.int32)
    return Pixels(mask, pixels.valid)


def _format_of(data: bytes) -> ModuleType:
    if not data:
        raise SampleError("the file is empty")
    for magic, module in _MAGIC:
        if data.startswith(magic):
            return module
    raise SampleError(f"unknown format (first bytes {data[:4].hex()}); use PNG, JPEG, TIFF, BMP, WebP or NPY")
