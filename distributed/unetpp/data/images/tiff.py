"""TIFF files: 8 and 16 bit, floating point, any number of channels, single pages."""

import io
import logging
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from unetpp.data.images.header import Header, SampleError, canonical, canonical_dtype, check_limits

__all__ = ["check_segments", "header", "pixels"]

# Its warnings about odd tags say nothing about the pixels and would appear once per file.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)

_ALPHA = {1, 2}
_CHANNEL_AXES = set("SCQI")
_MAX_RATIO = 10_000
"""Values per stored byte; deflate reaches 1032 bytes, which bilevel images make 8256 values."""


def header(data: bytes) -> Header:
    """Shape and dtype without decoding.

    Raises:
        SampleError: damaged, a volume, or a kind of TIFF that has no plain channels.
    """
    with _open(data) as tiff:
        return _header(tiff)


def pixels(data: bytes) -> NDArray[Any]:
    """The first series, H W C, without alpha."""
    with _open(data) as tiff:
        found = _header(tiff)
        check_segments(tiff, len(data))
        series = tiff.series[0]
        try:
            array = series.asarray()
        # Codecs raise their own classes; whatever it is, this file cannot be decoded.
        except Exception as error:
            raise SampleError(f"truncated or damaged TIFF: {error}") from error
        array = _channels_last(array, series.axes)[:, :, : found.channels]
        if array.shape != (found.height, found.width, found.channels):
            raise SampleError(f"truncated or damaged TIFF: pixels {array.shape} differ from the header")
        if tiff.pages.first.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
            array = _inverted(array)
        return canonical(array)


def _open(data: bytes) -> tifffile.TiffFile:
    try:
        return tifffile.TiffFile(io.BytesIO(data))
    except Exception as error:
        raise SampleError(f"damaged TIFF header: {error}") from error


def _header(tiff: tifffile.TiffFile) -> Header:
    try:
        series, page = tiff.series[0], tiff.pages.first
        axes, shape, dtype = series.axes, series.shape, series.dtype
        alpha = len(_ALPHA.intersection(int(sample) for sample in page.extrasamples))
    except Exception as error:
        raise SampleError(f"damaged TIFF header: {error}") from error
    sizes = dict(zip(axes, shape, strict=True))
    others = [axis for axis in axes if axis not in "YX"]
    if not {"Y", "X"} <= set(axes) or len(others) > 1 or not set(others) <= _CHANNEL_AXES:
        raise SampleError(f"TIFF axes {axes} {shape} are no single 2D image; save one slice per file")
    channels = sizes[others[0]] - alpha if others else 1
    return check_limits(Header(sizes["Y"], sizes["X"], channels, canonical_dtype(dtype)))


def check_segments(tiff: tifffile.TiffFile, file_bytes: int) -> None:
    """Raises SampleError where pixels are missing, for which tifffile would put zeros."""
    try:
        for page in tiff.series[0].pages:
            if page is None:
                raise SampleError("truncated or damaged TIFF: a page is missing")
            offsets, sizes = page.dataoffsets, page.databytecounts
            stored = sum(sizes)
            ends = [offset + size for offset, size in zip(offsets, sizes, strict=True)]
            whole = len(ends) == int(np.prod(page.chunked)) and min(sizes) > 0 and max(ends) <= file_bytes
            plain = page.compression == tifffile.COMPRESSION.NONE
            if not whole or (plain and stored < page.nbytes):
                raise SampleError("truncated or damaged TIFF: pixels are missing")
            if page.size > stored * _MAX_RATIO:
                raise SampleError(f"{page.size} values from {stored} bytes (decompression bomb?)")
    except (ArithmeticError, AttributeError, TypeError, ValueError) as error:
        raise SampleError(f"damaged TIFF header: {error}") from error


def _inverted(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind == "b":
        return ~array
    if array.dtype.kind != "u":
        raise SampleError(f"an inverted (white is zero) TIFF of {array.dtype} has no defined meaning")
    return np.asarray(np.iinfo(array.dtype).max - array)


def _channels_last(array: NDArray[Any], axes: str) -> NDArray[Any]:
    # axes: "YX", "YXS", "SYX", "CYX" ... -> (Y, X, channel)
    if len(axes) == 2:
        return array[:, :, None]
    channel = next(index for index, axis in enumerate(axes) if axis not in "YX")
    return np.moveaxis(array, channel, -1)
