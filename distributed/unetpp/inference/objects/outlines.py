"""Outlines of objects, whose pixels are those whose centres they enclose."""

import contourpy
import numpy as np
from numpy.typing import NDArray

__all__ = ["outlines_of"]


def outlines_of(region: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """Closed outlines (N, 2) of x and y in pixels from the upper left corner, the longest first.

    Holes have outlines of their own; by the even-odd rule together they give the region again.
    """
    padded = np.pad(region, 1).astype(np.float64)
    # A corner of the contour lies half way between the centres of an inner and an outer pixel.
    lines = [np.asarray(line)[:-1] - 0.5 for line in contourpy.contour_generator(z=padded).lines(0.5)]
    return [_corners(line) for line in sorted(lines, key=len, reverse=True)]


def _corners(outline: NDArray[np.float64]) -> NDArray[np.float64]:
    """The points at which the direction changes; coordinates are multiples of a half: this is exact."""
    to_next = np.roll(outline, -1, axis=0) - outline
    from_last = np.roll(to_next, 1, axis=0)
    turns = to_next[:, 0] * from_last[:, 1] != to_next[:, 1] * from_last[:, 0]
    return np.asarray(outline[turns])
