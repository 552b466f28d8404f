"""A random pixel of a random class in a stored mask; numpy only."""

import numpy as np
from numpy.typing import NDArray

from unetpp.core.manifest import IGNORE, Task

__all__ = ["foreground_pixel"]

_IGNORE_BIT = 7
"""Of a multilabel bit field; a field that has it never counts."""


def foreground_pixel(
    mask: NDArray[np.uint8], task: Task, generator: np.random.Generator
) -> tuple[int, ...] | None:
    """Where a pixel is: of a class uniformly from those present, then one of its pixels uniformly.

    Value 0 is background in every task, and ignored pixels belong to no class. None without foreground.

    Args:
        mask: stored values, (H, W) or (Z, H, W).
        task: what the values mean.
        generator: drawn from twice where there is foreground.
    """
    counts = np.bincount(mask.ravel(), minlength=IGNORE + 1)
    multilabel = task == "multilabel"
    classes = _labels_present(counts) if multilabel else np.flatnonzero(counts[1:IGNORE]) + 1
    if not len(classes):
        return None
    chosen = int(classes[generator.integers(len(classes))])
    member = (mask >> _IGNORE_BIT == 0) & (mask >> chosen & 1 == 1) if multilabel else mask == chosen
    pixels = np.flatnonzero(member)
    place = np.unravel_index(int(pixels[generator.integers(len(pixels))]), mask.shape)
    return tuple(int(index) for index in place)


def _labels_present(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    # counts: pixels per stored value, (256,)
    fields = np.flatnonzero(counts[: 1 << _IGNORE_BIT])
    return np.array([bit for bit in range(_IGNORE_BIT) if (fields >> bit & 1).any()], dtype=np.int64)
