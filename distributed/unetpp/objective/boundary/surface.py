"""Distances between the borders of a true and a predicted region, and the scores made of them.

    HD95           the larger of both directions' 95th percentiles of the distance to the other border
    surface Dice   border pixels of both sides within a tolerance of the other's border, over all of them
                   (Nikolov et al. 2018), each pixel counting alike

A border is the pixels of a region with a neighbour along an axis that is outside it or outside the image.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Surfaces", "border_of", "surfaces_of"]


@dataclass(frozen=True)
class Surfaces:
    """Distance of each border pixel to the other side's border, in the unit of the spacing."""

    to_true: NDArray[np.float64]
    """(P,), of the predicted border; inf where there is no true one."""
    to_predicted: NDArray[np.float64]
    """(T,), of the true border; inf where there is no predicted one."""

    @property
    def hd95(self) -> float:
        """NaN where a side is empty: no distance exists."""
        if not len(self.to_true) or not len(self.to_predicted):
            return float("nan")
        return float(max(np.percentile(self.to_true, 95), np.percentile(self.to_predicted, 95)))

    def dice(self, tolerance: float) -> float:
        """Surface Dice: 0 where one side is empty, NaN where both are."""
        total = len(self.to_true) + len(self.to_predicted)
        within = np.count_nonzero(self.to_true <= tolerance) + np.count_nonzero(
            self.to_predicted <= tolerance
        )
        return within / total if total else float("nan")


def surfaces_of(
    true: NDArray[np.bool_], predicted: NDArray[np.bool_], spacing: Sequence[float] | None = None
) -> Surfaces:
    """Measure two regions of one image.

    A tree of border points gives the same as distance transforms in half their time where borders are
    everywhere, and in a fifteenth of it for large regions of 2048 x 2048 pixels (benchmarks/borders.py).

    Args:
        true: of any dimensions.
        predicted: of the same shape.
        spacing: distance between neighbours along each axis; pixels without it.
    """
    scale = np.ones(true.ndim) if spacing is None else np.asarray(spacing, dtype=np.float64)
    ours, theirs = (np.argwhere(border_of(region)) * scale for region in (predicted, true))
    return Surfaces(_nearest(ours, theirs), _nearest(theirs, ours))


def border_of(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of the region at its border."""
    inside = region.copy()
    for axis in range(region.ndim):
        first, last = (_at(region.ndim, axis, part) for part in (slice(1, None), slice(None, -1)))
        inside[first] &= region[last]
        inside[last] &= region[first]
        inside[_at(region.ndim, axis, slice(0, 1))] = False
        inside[_at(region.ndim, axis, slice(-1, None))] = False
    return region & ~inside


def _at(ndim: int, axis: int, part: slice) -> tuple[slice, ...]:
    return tuple(part if each == axis else slice(None) for each in range(ndim))


def _nearest(points: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    if not len(points) or not len(others):
        return np.full(len(points), np.inf)
    from scipy.spatial import KDTree  # whose import takes 50 ms

    distances: NDArray[np.float64] = KDTree(others, balanced_tree=False, compact_nodes=False).query(points)[0]
    return distances
