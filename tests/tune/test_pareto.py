import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unetpp.tune.levels import LevelResult
from unetpp.tune.pareto import contributions, dominates, domination_ranks, hypervolume, pareto_front

COORDINATE = st.integers(0, 6).map(float)
POINTS_2D = st.lists(st.tuples(COORDINATE, COORDINATE), max_size=12)
POINTS_3D = st.lists(st.tuples(COORDINATE, COORDINATE, COORDINATE), max_size=8)
ROWS = st.lists(
    st.builds(LevelResult, st.integers(1, 4), st.floats(0, 1), COORDINATE, st.integers(1, 9), st.just(1)),
    max_size=12,
)


@given(ROWS)
def test_pareto_front_is_what_nothing_dominates_and_covers_the_rest(rows: list[LevelResult]) -> None:
    def beats(one: LevelResult, other: LevelResult) -> bool:
        at_least = one.quality >= other.quality and one.latency_s <= other.latency_s
        return at_least and (one.quality > other.quality or one.latency_s < other.latency_s)

    front = pareto_front(rows, ("quality", "latency"))
    assert front == [row for row in rows if not any(beats(other, row) for other in rows)]
    assert all(row in front or any(beats(winner, row) for winner in front) for row in rows)


def test_pareto_front_of_one_objective_is_the_best() -> None:
    rows = [LevelResult(1, quality, 1.0, 1, 1) for quality in (0.1, 0.9, 0.9, math.nan)]
    assert pareto_front(rows, ("quality",)) == rows[1:3]


@given(POINTS_3D)
def test_domination_ranks_peel_front_after_front(points: list[tuple[float, ...]]) -> None:
    left, rank, expected = list(range(len(points))), 0, [0] * len(points)
    while left:
        front = [i for i in left if not any(dominates(points[j], points[i]) for j in left)]
        for index in front:
            expected[index] = rank
        left, rank = [index for index in left if index not in front], rank + 1
    assert domination_ranks(points) == expected


def unit_cells(points: list[tuple[float, ...]], reference: tuple[float, ...]) -> int:
    """Count the unit cells below the reference that some point dominates."""
    cells = np.stack(np.meshgrid(*[np.arange(side) for side in reference], indexing="ij"), -1)
    covered = np.zeros(cells.shape[:-1], bool)
    for point in points:
        covered |= (cells >= np.array(point)).all(-1)
    return int(covered.sum())


@given(POINTS_2D)
def test_hypervolume_2d_equals_counted_cells(points: list[tuple[float, ...]]) -> None:
    assert hypervolume(points, (5.0, 6.0)) == unit_cells(points, (5, 6))


@given(POINTS_3D)
def test_hypervolume_3d_equals_counted_cells(points: list[tuple[float, ...]]) -> None:
    assert hypervolume(points, (5.0, 6.0, 4.0)) == unit_cells(points, (5, 6, 4))


def test_hypervolume_of_nothing_and_of_infinite_points_is_zero() -> None:
    assert hypervolume([], (1.0, 1.0)) == 0
    assert hypervolume([(math.inf, 0.0)], (1.0, 1.0)) == 0


def test_contributions_are_what_only_that_point_adds() -> None:
    points = [(0.0, 2.0), (1.0, 1.0), (1.0, 1.0), (2.0, 0.0)]
    assert contributions(points, (3.0, 3.0)) == pytest.approx([1, 0, 0, 1])
