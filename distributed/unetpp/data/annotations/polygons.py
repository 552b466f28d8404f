"""Outlines to pixels: a pixel is inside where its centre is, which lies half a pixel from its corner.

Coordinates are pixels, x to the right and y down, from the upper left corner of the upper left pixel.
Outlines that cross themselves or lie in one another follow the even-odd rule; what lies beyond the image is
cut off.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["fill_circle", "fill_polygons"]


def fill_polygons(outlines: Sequence[ArrayLike], height: int, width: int) -> NDArray[np.bool_]:
    """Pixels inside an odd number of outlines, H W; an outline is (N, 2) of x and y, closed by itself."""
    flips = np.zeros((height, width + 1), dtype=np.int64)
    for outline in outlines:
        points = np.asarray(outline, dtype=np.float64)
        _add_crossings(flips, points, np.roll(points, -1, axis=0), height, width)
    inside: NDArray[np.bool_] = np.cumsum(flips, axis=1)[:, :width] % 2 == 1
    return inside


def fill_circle(centre: tuple[float, float], radius_px: float, height: int, width: int) -> NDArray[np.bool_]:
    """Pixels whose centre is nearer than the radius, H W; `centre` is x and y."""
    y = np.arange(height)[:, None] + 0.5 - centre[1]
    x = np.arange(width)[None, :] + 0.5 - centre[0]
    inside: NDArray[np.bool_] = x**2 + y**2 < radius_px**2
    return inside


def _add_crossings(
    flips: NDArray[np.int64], starts: NDArray[np.float64], ends: NDArray[np.float64], height: int, width: int
) -> None:
    """Count where edges cross the rows' centre lines, at the first pixel right of the crossing."""
    low, high = np.minimum(starts[:, 1], ends[:, 1]), np.maximum(starts[:, 1], ends[:, 1])
    # The row r is crossed if low <= r + 0.5 < high.
    first = np.clip(np.ceil(low - 0.5), 0, height).astype(np.int64)
    last = np.clip(np.ceil(high - 0.5), 0, height).astype(np.int64)
    lengths = last - first
    edges = np.repeat(np.arange(len(starts)), lengths)
    rows = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths) + first[edges]
    slope = (ends[edges, 0] - starts[edges, 0]) / (ends[edges, 1] - starts[edges, 1])
    x = starts[edges, 0] + (rows + 0.5 - starts[edges, 1]) * slope
    columns = np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)
    np.add.at(flips, (rows, columns), 1)
