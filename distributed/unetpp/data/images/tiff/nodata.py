"""Which pixels hold no data: the value that GDAL names in tag 42113, or a mask page."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["nodata_of", "valid_pixels"]

_TAG = 42113


def nodata_of(page: Any) -> float | None:
    """The value in the page's dtype; None where there is none, or none that a pixel can have."""
    tag = page.tags.get(_TAG)
    if tag is None:
        return None
    text = tag.value.decode("latin-1") if isinstance(tag.value, bytes) else str(tag.value)
    try:
        value = float(text.strip().rstrip("\0"))
    except ValueError:
        return None
    dtype = np.dtype(page.dtype)
    if dtype.kind not in "iu":
        return value
    limits = np.iinfo(dtype)
    return value if value.is_integer() and limits.min <= value <= limits.max else None


def valid_pixels(stored: NDArray[Any], nodata: float) -> NDArray[np.bool_]:
    """False where a pixel (Z) Y X C holds no data.

    In unsigned integers, where the value is a colour as well, all channels must have it, as in GDAL;
    elsewhere, where it is far from all data, one is enough.
    """
    if np.isnan(nodata):
        missing = np.isnan(stored)
    else:
        # What a file's text says to 17 digits may lie beside the float32 that is stored.
        with np.errstate(over="ignore"):
            missing = stored == np.array(nodata).astype(stored.dtype)
    is_colour = stored.dtype.kind == "u"
    lacking: NDArray[np.bool_] = missing.all(axis=-1) if is_colour else missing.any(axis=-1)
    return ~lacking
