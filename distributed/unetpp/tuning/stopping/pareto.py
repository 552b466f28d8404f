"""Successive halving for several objectives, over the points (trial, level)."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from unetpp.config.sections.tune import ObjectiveName
from unetpp.tuning.results.pareto import contributions, non_dominated
from unetpp.tuning.stopping.rule import rung_epochs
from unetpp.tuning.stopping.rungs import Ladder
from unetpp.tuning.study.levels import LevelResult, costs

__all__ = ["ParetoRule"]

_REFERENCE = 1.1
"""Of coordinates scaled to [0, 1]: a little beyond the worst, so that extreme points count."""


class ParetoRule(Ladder):
    """A trial goes on from a rung if one of its levels is non-dominated among all points there.

    Where fewer than 1/factor of the trials own such a point, the best of the others fill up: by the rank of
    their best point after non-dominated sorting, then by the hypervolume that only they add to that rank.
    """

    def __init__(
        self,
        objectives: Sequence[ObjectiveName],
        grace_epochs: int,
        reduction_factor: int,
        max_epochs: int,
    ) -> None:
        super().__init__(
            rung_epochs(grace_epochs, reduction_factor, max_epochs),
            partial(_Rung, tuple(objectives), reduction_factor),
        )


class _Rung:
    def __init__(self, objectives: Sequence[ObjectiveName], reduction_factor: int) -> None:
        self._objectives, self._reduction_factor = objectives, reduction_factor
        self._points: list[tuple[float, ...]] = []
        self._owners: list[int] = []
        self._trials = 0

    def enter(self, levels: Sequence[LevelResult]) -> None:
        self._points.extend(costs(level, self._objectives) for level in levels)
        self._owners.extend([self._trials] * len(levels))
        self._trials += 1

    def keeps_last(self) -> bool:
        """Goes front by front, and no further than to the trial's own or to where the places are taken."""
        trial, places = self._trials - 1, self._trials // self._reduction_factor
        points, owners = np.array(self._points), np.array(self._owners)
        left, better = np.arange(len(points)), np.array([], dtype=int)
        for rank in range(len(points)):
            front = left[non_dominated(points[left])]
            if trial in owners[front]:
                return rank == 0 or len(better) + self._ahead(points, owners, front, better) < places
            better = np.union1d(better, owners[front])
            if len(better) >= places:
                return False
            left = np.setdiff1d(left, front, assume_unique=True)
        raise AssertionError("every point is on some front")

    def _ahead(
        self, points: NDArray[np.float64], owners: NDArray[np.int_], front: NDArray[np.int_],
        better: NDArray[np.int_],
    ) -> int:  # fmt: skip
        """Trials whose best point is on this front too and adds as much volume to it as the last one's."""
        scaled = _scaled(points)[front]
        volumes = contributions([tuple(point) for point in scaled], (_REFERENCE,) * points.shape[1])
        best: dict[int, float] = {}
        for owner, volume in zip(owners[front].tolist(), volumes, strict=True):
            best[owner] = max(best.get(owner, 0.0), volume)
        own = best[self._trials - 1]
        taken = set(better.tolist())
        return sum(
            volume >= own
            for owner, volume in best.items()
            if owner != self._trials - 1 and owner not in taken
        )


def _scaled(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each coordinate to [0, 1] over its finite values; infinite ones stay."""
    finite = np.where(np.isfinite(points), points, np.nan)
    with np.errstate(all="ignore"):
        known = np.isfinite(points).any(axis=0)
        low = np.where(known, np.nanmin(np.where(known, finite, 0.0), axis=0), 0.0)
        high = np.where(known, np.nanmax(np.where(known, finite, 0.0), axis=0), 0.0)
    span = np.where(high > low, high - low, 1.0)
    return (points - low) / span
