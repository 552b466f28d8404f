"""The range of values that is looked at, as radiologists set it: a centre and a width."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Window", "clip"]

Window = tuple[float, float]
"""Centre and width, in the values' own unit (Hounsfield units of CT)."""


def clip(values: NDArray[Any], window: Window | None) -> NDArray[Any]:
    """Values below and above the window become its ends; dtype and unit stay."""
    if window is None:
        return values
    centre, width = window
    low, high = centre - width / 2, centre + width / 2
    if values.dtype.kind == "u":
        top = np.iinfo(values.dtype).max
        low, high = np.clip([np.ceil(low), np.floor(high)], 0, top)
    return np.asarray(np.clip(values, values.dtype.type(low), values.dtype.type(high)))
