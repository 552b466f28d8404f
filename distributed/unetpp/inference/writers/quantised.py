"""Probabilities in 8 bits: value / 254, and 255 where nothing is known."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEVELS", "UNKNOWN", "quantised"]

LEVELS = 254
UNKNOWN = 255


def quantised(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The nearest of 255 levels, of the same shape; an error of at most 0.002."""
    levels: NDArray[np.uint8] = np.rint(probabilities * np.float32(LEVELS)).astype(np.uint8)
    return levels
