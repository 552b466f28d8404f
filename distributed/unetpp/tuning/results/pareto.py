"""Non-dominated points and the volume they dominate; every coordinate is minimised."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from unetpp.config.sections.tune import ObjectiveName
from unetpp.tuning.study.levels import LevelResult, costs

__all__ = ["Point", "contributions", "hypervolume", "non_dominated", "pareto_front"]

Point = tuple[float, ...]
_Row = TypeVar("_Row", bound=LevelResult)


def pareto_front(rows: Sequence[_Row], objectives: Sequence[ObjectiveName]) -> list[_Row]:
    """Rows that no other row dominates, in their order; of equal ones the first."""
    first: dict[Point, _Row] = {}
    for row in rows:
        first.setdefault(costs(row, objectives), row)
    if not first:
        return []
    kept = set(non_dominated(np.array(list(first))).tolist())
    return [row for index, row in enumerate(first.values()) if index in kept]


def non_dominated(points: NDArray[np.float64]) -> NDArray[np.int_]:
    """Indices, ascending, of the points that no other dominates: nowhere worse, somewhere better.

    Args:
        points: float (N, coordinates); infinities are ordinary values. Equal points all stay.
    """
    left = np.lexsort(points.T[::-1])
    front: list[int] = []
    while left.size:
        # The first in lexicographic order is dominated by none that is left.
        first, others = points[left[0]], points[left]
        equal = (others == first).all(axis=1)
        front.extend(left[equal].tolist())
        left = left[~equal & ~(others >= first).all(axis=1)]
    return np.sort(np.array(front, dtype=int))


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """Volume between the points and the reference, exact, by slicing along the last coordinate.

    Points that are not below the reference everywhere add nothing. Meant for the fronts of a sweep: two or
    three coordinates, some hundred points.
    """
    inside = [p for p in set(points) if all(a < r for a, r in zip(p, reference, strict=True))]
    if not inside:
        return 0.0
    if len(reference) == 1:
        return reference[0] - min(point[0] for point in inside)
    inside.sort(key=lambda point: point[-1])
    tops = [*(point[-1] for point in inside[1:]), reference[-1]]
    volume = 0.0
    for count, (point, top) in enumerate(zip(inside, tops, strict=True), start=1):
        if top > point[-1]:
            volume += (top - point[-1]) * hypervolume([p[:-1] for p in inside[:count]], reference[:-1])
    return volume


def contributions(points: Sequence[Point], reference: Point) -> list[float]:
    """Volume that only this point dominates, for each point."""
    return [
        _own_volume(point, [*points[:index], *points[index + 1 :]], reference)
        for index, point in enumerate(points)
    ]


def _own_volume(point: Point, others: Sequence[Point], reference: Point) -> float:
    """The box of a point less what the others cover of it; few of them matter, whatever their number."""
    clipped = np.maximum(np.array(others, dtype=float).reshape(-1, len(point)), point)
    nearest = [tuple(corner) for corner in clipped[non_dominated(clipped)].tolist()]
    return hypervolume([point], reference) - hypervolume(nearest, reference)
