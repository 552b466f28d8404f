"""Arrays with named axes to pictures H W C and volumes Z H W C.

Z planes, Y height, X width; C and S, the samples of a colour, become the channels, in this order. Time
points are images of their own, which no file may hold several of.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from unetpp.data.images.header import Header, SampleError, canonical, canonical_dtype, check_limits
from unetpp.data.sources.raster import Space

__all__ = ["UNITS_UM", "canonical_image", "canonical_labels", "header_of", "space_of", "standard"]

UNITS_UM = {
    **dict.fromkeys(("um", "µm", "μm", "micron", "microns", "micrometer", "micrometre", "\\u00b5m"), 1.0),
    **dict.fromkeys(("nm", "nanometer", "nanometre"), 1e-3),
    **dict.fromkeys(("mm", "millimeter", "millimetre"), 1e3),
    **dict.fromkeys(("cm", "centimeter", "centimetre"), 1e4),
    **dict.fromkeys(("m", "meter", "metre"), 1e6),
}
"""Micrometres in a unit of length, by its lower-case name."""
_CHANNELS = "CS"
_KNOWN = set("ZYX" + _CHANNELS)


def header_of(axes: str, shape: Sequence[int], dtype: DTypeLike) -> Header:
    """Shape and dtype of what `standard` gives; axes are one letter each, those of one element do not matter.

    Raises:
        SampleError: several time points, an axis without a meaning, or no plane.
    """
    sizes = dict(zip(axes, shape, strict=True))
    if sizes.get("T", 1) > 1:
        raise SampleError(f"the file holds {sizes['T']} time points; save each as an image of its own")
    odd = [axis for axis, size in sizes.items() if axis not in _KNOWN and size > 1]
    if odd or not {"Y", "X"} <= sizes.keys() or len(sizes) < len(axes):
        raise SampleError(f"axes {axes} {tuple(shape)} are no picture or volume with channels (Z, C, Y, X)")
    channels = int(np.prod([sizes.get(axis, 1) for axis in _CHANNELS]))
    planes = sizes.get("Z", 1)
    header = Header(
        sizes["Y"], sizes["X"], channels, canonical_dtype(np.dtype(dtype)), planes if planes > 1 else None
    )
    return check_limits(header)


def standard(array: NDArray[Any], axes: str) -> NDArray[Any]:
    """The array as H W C, or Z H W C if it has several planes; `header_of` has accepted its axes."""
    keep = [axis for axis in "ZYXCS" if axis in axes]
    array = np.squeeze(array, tuple(i for i, axis in enumerate(axes) if axis not in keep))
    left = [axis for axis in axes if axis in keep]
    array = np.transpose(array, [left.index(axis) for axis in keep])
    spatial = [axis for axis in keep if axis in "ZYX"]
    array = array.reshape(*array.shape[: len(spatial)], -1)
    return array[0] if spatial[0] == "Z" and array.shape[0] == 1 else array


def space_of(um: Mapping[str, float], *, is_volume: bool) -> Space:
    """Pixel sizes in micrometres by axis; nothing is known unless all are."""
    axes = "ZYX" if is_volume else "YX"
    spacing = tuple(um.get(axis, 0.0) for axis in axes)
    if not all(np.isfinite(size) and size > 0 for size in spacing):
        return Space()
    return Space(spacing=spacing, unit="um")


def canonical_image(array: NDArray[Any]) -> NDArray[Any]:
    """Pixels in the stored dtype.

    Raises:
        SampleError: NaN or Inf.
    """
    pixels = canonical(array)
    if pixels.dtype == np.float32 and not np.isfinite(pixels).all():
        raise SampleError("the image holds NaN or Inf; replace them")
    return pixels


def canonical_labels(array: NDArray[Any]) -> NDArray[Any]:
    """A mask's stored values as uint8, uint16 or int32.

    Raises:
        SampleError: they are no whole numbers from 0.
    """
    if array.dtype.kind == "f" and not np.array_equal(array, np.rint(array)):
        raise SampleError("a floating-point mask must hold class indices 0, 1, 2 ...")
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    if low < 0 or high > np.iinfo(np.int32).max:
        raise SampleError(f"mask values must be whole numbers from 0, this mask has {low} to {high}")
    dtype = next(dtype for dtype in (np.uint8, np.uint16, np.int32) if high <= np.iinfo(dtype).max)
    return np.ascontiguousarray(array, dtype=dtype)
