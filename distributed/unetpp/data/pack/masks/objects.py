"""Whether the values of a mask are ids of objects: each is one connected region, and they say
nothing else."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from unetpp.core.manifest import IGNORE

__all__ = ["ObjectStats", "object_stats"]

_MAX_PIXELS = 2**20
_MAX_CHECKED = 24
_ENOUGH_SPLIT = 3
"""So many values in several pieces settle that these are classes, which most class masks show at once."""


@dataclass(frozen=True, slots=True)
class ObjectStats:
    """What is known of the values of one mask; 0 and 255 are no objects."""

    values: int = 0
    checked: int = 0
    """Values that were looked at for how many regions they have."""
    single: int = 0
    """Those of them with one region."""
    highest: int = 0
    is_in_reading_order: bool = False
    """Whether a higher value begins further down, as labelling of connected regions numbers them."""
    borders: int = 0
    background_borders: int = 0
    """Horizontal neighbours that differ, and those of them where one is 0."""


def object_stats(plane: NDArray[Any]) -> ObjectStats:
    """Look at a mask's values, (Z) H W; a very large mask is thinned to every n-th row and column."""
    step = int(np.ceil((plane.size / _MAX_PIXELS) ** (1 / plane.ndim)))
    plane = plane[(slice(None, None, step),) * plane.ndim]
    found, first, inverse = np.unique(plane, return_index=True, return_inverse=True)
    is_object = (found != 0) & (found != IGNORE)
    objects = found[is_object]
    highest = int(objects[-1]) if len(objects) else 0
    if len(objects) < 2:
        return ObjectStats(values=len(objects), highest=highest)
    checked, single = _single(inverse.reshape(plane.shape) + 1, np.flatnonzero(is_object))
    left, right = plane[..., :-1], plane[..., 1:]
    differ = left != right
    return ObjectStats(
        values=len(objects),
        checked=checked,
        single=single,
        highest=highest,
        is_in_reading_order=bool((np.diff(first[is_object]) > 0).all()),
        borders=int(differ.sum()),
        background_borders=int((differ & ((left == 0) | (right == 0))).sum()),
    )


def _single(ranks: NDArray[np.int64], objects: NDArray[np.int64]) -> tuple[int, int]:
    """How many of the objects were looked at, and how many of them are one region."""
    boxes = ndimage.find_objects(ranks)
    chosen = objects[np.linspace(0, len(objects) - 1, min(len(objects), _MAX_CHECKED)).astype(int)]
    single = 0
    for checked, rank in enumerate(chosen, 1):
        region = ranks[boxes[rank]] == rank + 1
        single += ndimage.label(region, np.ones((3,) * region.ndim))[1] == 1
        if checked - single >= _ENOUGH_SPLIT:
            return checked, single
    return len(chosen), single
