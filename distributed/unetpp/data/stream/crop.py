"""Square crops with padding, on the host, before pixels travel."""

import numpy as np
from numpy.typing import NDArray

from unetpp.core.manifest import IGNORE, Task
from unetpp.data.stream.foreground import foreground_pixel

__all__ = ["crop_or_pad", "draw_corner"]


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
