"""Successive halving for several objectives, over the points (trial, level)."""

import math
from collections.abc import Sequence

from unetpp.config.tune import ObjectiveName
from unetpp.tune.levels import LevelResult, costs
from unetpp.tune.pareto import Point, contributions, domination_ranks
from unetpp.tune.rungs.ladder import Ladder
from unetpp.tune.rungs.rule import rung_epochs

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
        super().__init__(rung_epochs(grace_epochs, reduction_factor, max_epochs), self._is_kept)
        self._objectives = tuple(objectives)
        self._reduction_factor = reduction_factor

    def _is_kept(self, trial_id: int, results: dict[int, list[LevelResult]]) -> bool:
        standing = _standing(results, self._objectives)
        if standing[trial_id][0] == 0:
            return True
        better = sum(other <= standing[trial_id] for trial, other in standing.items() if trial != trial_id)
        return better < len(results) // self._reduction_factor


def _standing(
    results: dict[int, list[LevelResult]], objectives: Sequence[ObjectiveName]
) -> dict[int, tuple[int, float]]:
    """(rank, -contribution) of each trial's best point; less is better."""
    owners = [trial for trial, levels in results.items() for _ in levels]
    points = [costs(level, objectives) for levels in results.values() for level in levels]
    ranks = domination_ranks(points)
    scaled = _scaled(points)
    added = [0.0] * len(points)
    reference = (_REFERENCE,) * len(objectives)
    for rank in set(ranks):
        members = [index for index, found in enumerate(ranks) if found == rank]
        for index, volume in zip(
            members, contributions([scaled[i] for i in members], reference), strict=True
        ):
            added[index] = volume
    best: dict[int, tuple[int, float]] = {}
    for owner, rank, volume in zip(owners, ranks, added, strict=True):
        best[owner] = min(best.get(owner, (rank, -volume)), (rank, -volume))
    return best


def _scaled(points: list[Point]) -> list[Point]:
    """Each coordinate to [0, 1] over its finite values; infinite ones stay."""
    columns = []
    for column in zip(*points, strict=True):
        finite = [value for value in column if math.isfinite(value)]
        low, high = min(finite, default=0.0), max(finite, default=0.0)
        span = (high - low) or 1.0
        columns.append([(value - low) / span for value in column])
    return list(zip(*columns, strict=True))
