"""Non-dominated points and the volume they dominate; every coordinate is minimised."""

from collections.abc import Sequence
from typing import TypeVar

from unetpp.config.tune import ObjectiveName
from unetpp.tune.levels import LevelResult, costs

__all__ = ["Point", "contributions", "dominates", "domination_ranks", "hypervolume", "pareto_front"]

Point = tuple[float, ...]
_Row = TypeVar("_Row", bound=LevelResult)


def dominates(one: Point, other: Point) -> bool:
    """Whether `one` is nowhere worse and somewhere better."""
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def pareto_front(rows: Sequence[_Row], objectives: Sequence[ObjectiveName]) -> list[_Row]:
    """Rows that no other row dominates, in their order; equal rows all stay."""
    points = [costs(row, objectives) for row in rows]
    return [
        row
        for row, point in zip(rows, points, strict=True)
        if not any(dominates(other, point) for other in points)
    ]


def domination_ranks(points: Sequence[Point]) -> list[int]:
    """0 for the front, 1 for the front of what remains without it, and so on."""
    ranks = [-1] * len(points)
    rank = 0
    while -1 in ranks:
        left = [index for index, found in enumerate(ranks) if found == -1]
        for index in left:
            if not any(dominates(points[other], points[index]) for other in left):
                ranks[index] = -2
        ranks = [rank if found == -2 else found for found in ranks]
        rank += 1
    return ranks


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
    whole = hypervolume(points, reference)
    return [
        whole - hypervolume([*points[:index], *points[index + 1 :]], reference)
        for index in range(len(points))
    ]
