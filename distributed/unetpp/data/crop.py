"""Random square crops with padding, on the host, before pixels travel."""

import numpy as np
from numpy.typing import NDArray

from unetpp.core.manifest import IGNORE

__all__ = ["crop_or_pad"]


def crop_or_pad(
    image: NDArray[np.generic], mask: NDArray[np.uint8], side_px: int, generator: np.random.Generator
) -> tuple[NDArray[np.generic], NDArray[np.uint8]]:
    """Cut a square of `side_px` at a random place; mirror what is missing and never score it.

    Shapes: image (H, W, C), mask (H, W).
    """
    height, width = mask.shape
    top = int(generator.integers(max(height - side_px, 0) + 1))
    left = int(generator.integers(max(width - side_px, 0) + 1))
    image = image[top : top + side_px, left : left + side_px]
    mask = mask[top : top + side_px, left : left + side_px]
    bottom, right = side_px - mask.shape[0], side_px - mask.shape[1]
    if bottom or right:
        image = np.pad(image, ((0, bottom), (0, right), (0, 0)), mode="symmetric")
        mask = np.pad(mask, ((0, bottom), (0, right)), constant_values=IGNORE)
    return image, mask
