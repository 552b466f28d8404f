"""Which pixels of an image hold data, by the value that marks the others, and what stands in for those.

Arrays: H W C.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["filled", "valid_pixels"]


def valid_pixels(values: NDArray[Any], nodata: Sequence[float | None]) -> NDArray[np.bool_] | None:
    """False where a pixel holds no data, H W; None where all do.

    In unsigned integers, where the value is a colour as well, all bands must have theirs, as in GDAL;
    elsewhere, where it is far from all data, one is enough.

    Args:
        values: in the file's own dtype, so that nodata compares exactly.
        nodata: of each band; None for a band without one.
    """
    if all(value is None for value in nodata):
        return None
    marked = np.stack([_is_nodata(values[..., band], value) for band, value in enumerate(nodata)], axis=-1)
    is_colour = values.dtype.kind == "u"
    invalid = np.asarray(marked.all(axis=-1) if is_colour else marked.any(axis=-1))
    return ~invalid if invalid.any() else None


def filled(
    values: NDArray[Any], valid: NDArray[np.bool_] | None, fill: Sequence[float] | None = None
) -> NDArray[Any]:
    """The pixels with something plain where they hold no data.

    A network sees what surrounds a pixel: -9999 or NaN there would reach pixels that count.

    Args:
        values: H W C.
        valid: H W, False where there is no data; None where there is everywhere.
        fill: what stands in, per channel; by default the mean of the valid pixels, zeros without any.
    """
    if valid is None:
        return values
    if fill is not None:
        mean = np.asarray(fill)
    elif valid.any():
        mean = values[valid].mean(axis=0, dtype=np.float64)
    else:
        mean = np.zeros(values.shape[-1])
    if values.dtype.kind == "u":
        mean = np.rint(mean)
    return np.where(valid[..., None], values, mean.astype(values.dtype))


def _is_nodata(plane: NDArray[Any], nodata: float | None) -> NDArray[np.bool_]:
    if nodata is None:
        return np.zeros(plane.shape, np.bool_)
    if np.isnan(nodata):
        return np.isnan(plane) if plane.dtype.kind == "f" else np.zeros(plane.shape, np.bool_)
    if plane.dtype == np.float32:
        # Files name the value as decimal text, pixels are the nearest float32.
        nodata = float(np.float32(nodata))
    return np.asarray(plane == nodata)
