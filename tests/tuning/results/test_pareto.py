import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unetpp.tuning.results.pareto import contributions, hypervolume, non_dominated, pareto_front
from unetpp.tuning.study.levels import LevelResult

COORDINATE = st.integers(0, 6).map(float)
POINTS_2D = st.lists(st.tuples(COORDINATE, COORDINATE), max_size=12)
POINTS_3D = st.lists(st.tuples(COORDINATE, COORDINATE, COORDINATE), max_size=8)
ROWS = st.lists(
    st.builds(LevelResult, st.integers(1, 4), st.floats(0, 1), COORDINATE, st.integers(1, 9), st.just(1)),
    max_size=12,
)


@given(ROWS)
def test_pareto_front_is_what_nothing_dominates_and_of_equals_the_first(rows: list[LevelResult]) -> None:
    def beats(one: LevelResult, other: LevelResult) -> bool:
        at_least = one.quality >= other.quality and one.latency_s <= other.latency_s
        return at_least and (one.quality > other.quality or one.latency_s < other.latency_s)

    front = pareto_front(rows, ("quality", "latency"))
    unbeaten = [row for row in rows if not any(beats(other, row) for other in rows)]
    points = [(row.quality, row.latency_s) for row in unbeaten]
    assert front == [row for index, row in enumerate(unbeaten) if points[index] not in points[:index]]


def test_pareto_front_of_one_objective_is_the_first_of_the_best() -> None:
    rows = [
        LevelResult(1, quality, latency, 1, 1) for latency, quality in enumerate((0.1, 0.9, 0.9, math.nan))
    ]
    assert pareto_front(rows, ("quality",)) == rows[1:2]


def dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


@given(POINTS_3D)
def test_non_dominated_is_what_no_other_point_dominates(points: list[tuple[float, ...]]) -> None:
    expected = [i for i, point in enumerate(points) if not any(dominates(other, point) for other in points)]
    assert non_dominated(np.array(points).reshape(-1, 3)).tolist() == expected


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
