"""Boundary IoU (Cheng et al. 2021): the IoU of the parts of two regions that lie near their borders."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter1d

__all__ = ["boundary_iou", "boundary_width_px"]

_OF_DIAGONAL = 0.02
"""As in the paper."""


def boundary_width_px(size: tuple[int, ...]) -> int:
    """Pixels from the border that count: 2 % of the image's diagonal, at least one."""
    return max(1, round(_OF_DIAGONAL * math.hypot(*size)))


def boundary_iou(true: NDArray[np.bool_], predicted: NDArray[np.bool_], width_px: int) -> float:
    """IoU of the pixels of each region that are at most the width from outside it, along axes and diagonals.

    What lies beyond the image is outside. NaN where both regions are empty.
    """
    ours, theirs = _band(predicted, width_px), _band(true, width_px)
    union = np.count_nonzero(ours | theirs)
    return np.count_nonzero(ours & theirs) / union if union else float("nan")


def _band(region: NDArray[np.bool_], width_px: int) -> NDArray[np.bool_]:
    eroded = region.view(np.uint8)
    for axis in range(region.ndim):
        eroded = minimum_filter1d(eroded, 2 * width_px + 1, axis, mode="constant", cval=0)
    band: NDArray[np.bool_] = region & (eroded == 0)
    return band
