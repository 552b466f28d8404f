"""Crops on the host, before pixels travel: padding, and foreground sampling of rare classes.

Shapes: image (H, W, C) or (Z, H, W, C), mask without C; sizes and corners have an entry per axis of the mask.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unetpp.core.manifest import IGNORE, MAX_LABELS, Task
from unetpp.data.dataset.stored_masks import class_pixels, value_counts

__all__ = ["crop_or_pad", "draw_corner", "foreground_pixel"]


def draw_corner(
    mask: NDArray[np.uint8],
    size_px: Sequence[int],
    generator: np.random.Generator,
    *,
    foreground: float,
    task: Task,
) -> tuple[int, ...]:
    """First pixel along each axis of a random crop of a mask.

    With probability `foreground` it is centred, as far as the border allows, on a pixel of a class drawn
    uniformly from those present, so that rare classes are seen (Isensee et al. 2021, nnU-Net).
    """
    size = np.array(size_px)
    room = np.maximum(np.array(mask.shape) - size, 0)
    corner = tuple(int(generator.integers(free + 1)) for free in room)
    if room.any() and generator.random() < foreground:
        found = foreground_pixel(mask, task, generator)
        if found is not None:
            corner = tuple(np.clip(np.array(found) - size // 2, 0, room).tolist())
    return corner


def crop_or_pad(
    image: NDArray[np.generic], mask: NDArray[np.uint8], size_px: Sequence[int], corner: Sequence[int]
) -> tuple[NDArray[np.generic], NDArray[np.uint8]]:
    """Cut a crop of that size at the corner; mirror what is missing and never score it."""
    window = tuple(slice(first, first + side) for first, side in zip(corner, size_px, strict=True))
    image, mask = image[window], mask[window]
    missing = [(0, side - found) for side, found in zip(size_px, mask.shape, strict=True)]
    if any(after for _, after in missing):
        image = np.pad(image, (*missing, (0, 0)), mode="symmetric")
        mask = np.pad(mask, missing, constant_values=IGNORE)
    return image, mask


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
    counts, multilabel = value_counts(mask), task == "multilabel"
    labels = class_pixels(counts, MAX_LABELS, task) if multilabel else counts[1:IGNORE]
    classes = np.flatnonzero(labels) + (0 if multilabel else 1)
    if not len(classes):
        return None
    chosen = int(classes[generator.integers(len(classes))])
    member = (mask >> MAX_LABELS == 0) & (mask >> chosen & 1 == 1) if multilabel else mask == chosen
    pixels = np.flatnonzero(member)
    place = np.unravel_index(int(pixels[generator.integers(len(pixels))]), mask.shape)
    return tuple(int(index) for index in place)
