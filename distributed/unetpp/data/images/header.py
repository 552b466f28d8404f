"""What every image file reader shares: the header, the limits, the dtypes and the reason for a refusal."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from unetpp.core.errors import InputError

__all__ = [
    "MAX_CHANNELS",
    "MAX_PIXELS",
    "MAX_ROW_BYTES",
    "Dtype",
    "Header",
    "SampleError",
    "UndecidedError",
    "canonical",
    "canonical_dtype",
    "check_limits",
]

Dtype = Literal["uint8", "uint16", "float32"]

MAX_PIXELS = 2**27
"""Largest height * width that is decoded, 134 megapixels; larger files are refused by their header."""
MAX_CHANNELS = 64
MAX_ROW_BYTES = 2**30
"""A parquet page and an arrow binary value end at 2 GiB; half of that leaves room for the mask."""
_MAX_VOLUME_BYTES = 2**32
"""A volume is held whole while its slices are cut."""


class SampleError(InputError):
    """An image or mask that cannot be packed; the message is the reason written to rejected.jsonl."""


class UndecidedError(InputError):
    """A file with two meanings between which an option decides; packing ends, rather than leave files out."""


@dataclass(frozen=True, slots=True)
class Header:
    """Shape and dtype of an image after EXIF rotation and without alpha."""

    height: int
    width: int
    channels: int
    dtype: Dtype
    planes: int | None = None
    """Of a volume; None for a picture."""
    may_lack_data: bool = field(default=False, compare=False)
    """Whether some pixels may hold no data, which decoding tells."""
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What was understood of the file beyond its plain pixels, for its user to know."""


def check_limits(header: Header, *, by_windows: bool = False) -> Header:
    """Return the header.

    Args:
        header: of an image, or of the part that is about to be decoded.
        by_windows: of a file that is never decoded whole unless it is small.

    Raises:
        SampleError: decoding would take more memory than any honest image.
    """
    pixels = header.height * header.width
    if min(header.height, header.width, header.channels) < 1:
        raise SampleError(f"the image is empty: {header.height}x{header.width}x{header.channels}")
    if pixels > MAX_PIXELS and not by_windows:
        raise SampleError(
            f"{header.height}x{header.width} pixels exceed the limit of {MAX_PIXELS} "
            "(decompression bomb?); cut the image"
        )
    if header.channels > MAX_CHANNELS:
        raise SampleError(
            f"channels={header.channels} exceed {MAX_CHANNELS}; arrays are height, width, channels"
        )
    if not by_windows and pixels * header.channels * np.dtype(header.dtype).itemsize > MAX_ROW_BYTES:
        raise SampleError(
            f"{header.height}x{header.width}x{header.channels} {header.dtype} exceed "
            f"{MAX_ROW_BYTES} bytes; cut the image"
        )
    volume_bytes = (header.planes or 1) * pixels * header.channels * np.dtype(header.dtype).itemsize
    if volume_bytes > _MAX_VOLUME_BYTES and not by_windows:
        raise SampleError(
            f"a volume of {header.planes}x{header.height}x{header.width}x{header.channels} {header.dtype} "
            f"exceeds {_MAX_VOLUME_BYTES} bytes (decompression bomb?); cut it"
        )
    return header


def canonical_dtype(dtype: np.dtype[Any]) -> Dtype:
    """The stored dtype: uint8 and uint16 stay, bool becomes uint8, other numbers become float32.

    Raises:
        SampleError: the dtype is no real number.
    """
    if dtype.kind == "b" or dtype == np.uint8:
        return "uint8"
    if dtype.newbyteorder("=") == np.uint16:
        return "uint16"
    if dtype.kind in "iuf":
        return "float32"
    raise SampleError(f"dtype {dtype} is no pixel type; use uint8, uint16 or float32")


def canonical(array: NDArray[Any]) -> NDArray[Any]:
    """Convert to the stored dtype in native byte order."""
    # What overflows float32 becomes Inf, which the reader refuses.
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, dtype=canonical_dtype(array.dtype))
