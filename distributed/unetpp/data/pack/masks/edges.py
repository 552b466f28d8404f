"""Whether the borders in a mask are sharp, as between classes, or soft, as between grey levels.

Across a sharp border one label follows another. Resizing with interpolation, anti-aliasing, lossy compression
and probabilities put values between the two there; a label that lies between its neighbours is rare.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["EdgeStats", "edge_stats"]

_MAX_PIXELS = 2**22
_BANDS = 4
_BAND_PIXELS = 2**20


@dataclass(frozen=True, slots=True)
class EdgeStats:
    """Counts along rows and columns."""

    pairs: int = 0
    """Neighbours."""
    jumps: int = 0
    """Those whose values differ."""
    soft: int = 0
    """Three pixels in a row of which the middle one lies strictly between the others."""
    middles: int = 0
    """Distinct values of such middle pixels."""


def edge_stats(mask: NDArray[Any]) -> EdgeStats:
    """Count the borders of a mask, H W C; of a very large one in bands of rows spread over it."""
    pairs = jumps = soft = 0
    middles: set[bytes] = set()
    for band in _bands(mask):
        for lines in (band, band.swapaxes(0, 1)):
            differ = (lines[:, 1:] != lines[:, :-1]).any(axis=2)
            pairs, jumps = pairs + differ.size, jumps + int(differ.sum())
            found = _middles(lines)
            soft += len(found)
            if len(found):
                middles.update(pixel.tobytes() for pixel in np.unique(found, axis=0))
    return EdgeStats(pairs, jumps, soft, len(middles))


def _bands(mask: NDArray[Any]) -> Iterator[NDArray[Any]]:
    height, width = mask.shape[:2]
    if height * width <= _MAX_PIXELS:
        yield mask
        return
    rows = max(3, _BAND_PIXELS // width)
    for start in np.linspace(0, max(0, height - rows), _BANDS).astype(int):
        yield mask[start : start + rows]


def _middles(lines: NDArray[Any]) -> NDArray[Any]:
    """Soft middle pixels along the second axis, (N, C)."""
    before, middle, after = lines[:, :-2], lines[:, 1:-1], lines[:, 2:]
    between = (before <= middle) & (middle <= after) | (before >= middle) & (middle >= after)
    is_soft = between.all(axis=2) & (middle != before).any(axis=2) & (middle != after).any(axis=2)
    return np.ascontiguousarray(middle[is_soft])
