"""Square crops on the host, before pixels travel: padding, and foreground sampling of rare classes."""

import numpy as np
from numpy.typing import NDArray

from unetpp.core.manifest import IGNORE, Task

__all__ = ["crop_or_pad", "draw_corner", "foreground_pixel"]

_IGNORE_BIT = 7
"""Of a multilabel bit field; a field that has it never counts."""


def draw_corner(
    mask: NDArray[np.uint8], side_px: int, generator: np.random.Generator, *, foreground: float, task: Task
) -> tuple[int, int]:
    """Top and left of a random square of `side_px` in a mask (H, W).

    With probability `foreground` it is centred, as far as the border allows, on a pixel of a class drawn
    uniformly from those present, so that rare classes are seen (Isensee et al. 2021, nnU-Net).
    """
    room = np.maximum(np.array(mask.shape) - side_px, 0)
    top, left = (int(generator.integers(free + 1)) for free in room)
    if room.any() and generator.random() < foreground:
        found = foreground_pixel(mask, task, generator)
        if found is not None:
            top, left = np.clip(np.array(found) - side_px // 2, 0, room).tolist()
    return top, left


def crop_or_pad(
    image: NDArray[np.generic], mask: NDArray[np.uint8], side_px: int, corner: tuple[int, int]
) -> tuple[NDArray[np.generic], NDArray[np.uint8]]:
    """Cut a square of `side_px` at (top, left); mirror what is missing and never score it.

    Shapes: image (H, W, C), mask (H, W).
    """
    top, left = corner
    image = image[top : top + side_px, left : left + side_px]
    mask = mask[top : top + side_px, left : left + side_px]
    bottom, right = side_px - mask.shape[0], side_px - mask.shape[1]
    if bottom or right:
        image = np.pad(image, ((0, bottom), (0, right), (0, 0)), mode="symmetric")
        mask = np.pad(mask, ((0, bottom), (0, right)), constant_values=IGNORE)
    return image, mask


def foreground_pixel(
    mask: NDArray[np.uint8], task: Task, generator: np.random.Generator
) -> tuple[int, int] | None:
    """Row and column of a pixel: a class uniformly from those present, then one of its pixels uniformly.

    Value 0 is background in every task, and ignored pixels belong to no class. None without foreground.

    Args:
        mask: stored values, (H, W).
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
    row, column = divmod(int(pixels[generator.integers(len(pixels))]), mask.shape[1])
    return row, column


def _labels_present(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    # counts: pixels per stored value, (256,)
    fields = np.flatnonzero(counts[: 1 << _IGNORE_BIT])
    return np.array([bit for bit in range(_IGNORE_BIT) if (fields >> bit & 1).any()], dtype=np.int64)
