"""Orientation, tag 274: how stored rows and columns are turned to what is shown, as EXIF defines it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetpp.data.images.header import SampleError

__all__ = ["TRANSPOSED", "orientation", "upright"]

_TAG = 274
TRANSPOSED = frozenset({5, 6, 7, 8})
"""Orientations that exchange height and width."""


def orientation(page: Any) -> int:
    """1 where the tag is missing.

    Raises:
        SampleError: no orientation.
    """
    tag = page.tags.get(_TAG)
    value = 1 if tag is None else tag.value
    if value not in range(1, 9):
        raise SampleError(f"damaged TIFF: orientation {value} is none of 1 to 8")
    return int(value)


def upright(array: NDArray[Any], turned: int, row_axis: int) -> NDArray[Any]:
    """Turn the axes of rows and columns, which follow each other; a view.

    Args:
        array: pixels as stored.
        turned: value of the tag.
        row_axis: axis of the rows.
    """
    if turned in TRANSPOSED:
        array = np.swapaxes(array, row_axis, row_axis + 1)
    # Of what is now upright or transposed: rows from below, columns from the right.
    if turned in {3, 4, 7, 8}:
        array = np.flip(array, row_axis)
    if turned in {2, 3, 6, 7}:
        array = np.flip(array, row_axis + 1)
    return array
