"""NumPy files: height, width[, channels] arrays of numbers, never pickles."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetpp.data.images.header import Header, SampleError, canonical, canonical_dtype, check_limits
from unetpp.data.images.mask_facts import MaskFacts

__all__ = ["header", "mask_facts", "pixels"]


def header(data: bytes) -> Header:
    """Shape and dtype without reading the array.

    Raises:
        SampleError: not a plain numeric array of two or three dimensions, or cut short.
    """
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(stream)
    # A damaged header fails in numpy, in the tokenizer or in the literal parser.
    except Exception as error:
        raise SampleError(f"damaged NPY header: {error}") from error
    if dtype.hasobject:
        raise SampleError("NPY holds Python objects; save a plain numeric array")
    if len(shape) not in (2, 3):
        raise SampleError(f"NPY shape {shape} must be height, width or height, width, channels")
    height, width = shape[:2]
    found = check_limits(Header(height, width, shape[2] if len(shape) == 3 else 1, canonical_dtype(dtype)))
    expected = int(np.prod(shape)) * dtype.itemsize
    if len(data) - stream.tell() < expected:
        raise SampleError(f"truncated NPY: {len(data) - stream.tell()} of {expected} bytes")
    return found


def pixels(data: bytes) -> NDArray[Any]:
    """The array, H W C."""
    header(data)
    array = np.load(io.BytesIO(data), allow_pickle=False)
    return canonical(array[:, :, None] if array.ndim == 2 else array)


def mask_facts(data: bytes) -> MaskFacts:
    """How a mask file stores its values."""
    array = np.load(io.BytesIO(data), allow_pickle=False)
    return MaskFacts("NPY", bits=1 if array.dtype.kind == "b" else 8 * array.dtype.itemsize)
