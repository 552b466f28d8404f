"""Masks of scanners' formats, which often hold whole numbers in a floating-point or scaled type."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetpp.data.images.header import SampleError

__all__ = ["whole_labels"]

_TOLERANCE = 1e-3
"""Scaling by a file's slope leaves 1.0000153 of a label 1; a probability or a blurred mask is farther off."""
_LARGEST = np.iinfo(np.uint16).max


def whole_labels(values: NDArray[Any]) -> NDArray[Any]:
    """Labels as uint8, or uint16 where one needs it; values of which some are not whole stay, as float32.

    What those mean, probabilities or labels resampled with interpolation, a file cannot tell.

    Raises:
        SampleError: whole values that are negative or above 65535, or no numbers.
    """
    if values.dtype.kind == "b":
        return values.astype(np.uint8)
    if values.dtype.kind not in "iuf":
        raise SampleError(f"a mask of dtype {values.dtype} holds no labels; save it as uint8")
    if values.dtype.kind == "f":
        whole = np.rint(values)
        # NaN differs from everything, and so do infinities from themselves.
        with np.errstate(invalid="ignore"):
            if not (np.abs(values - whole) <= _TOLERANCE).all():
                return values.astype(np.float32)
        values = whole
    low, high = values.min(initial=0), values.max(initial=0)
    if low < 0 or high > _LARGEST:
        raise SampleError(
            f"mask values must be labels 0, 1, 2 ..., this mask holds {low if low < 0 else high:g}; "
            "give each label a number from 0 to 254, and 255 to what is not to count"
        )
    return values.astype(np.uint8 if high <= np.iinfo(np.uint8).max else np.uint16)
