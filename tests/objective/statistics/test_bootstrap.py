import numpy as np
import pytest

from unetpp.objective.statistics.bootstrap import bootstrap_intervals, sums_by_unit


def _means(sums: np.ndarray) -> np.ndarray:
    return sums[:, :1] / sums[:, 1:]


def _sums(values: np.ndarray, units: list[str]) -> np.ndarray:
    return sums_by_unit(np.stack([values, np.ones_like(values)], 1), units)


def test_interval_of_a_mean_is_that_of_the_normal_distribution():
    values = np.random.default_rng(0).normal(0.8, 0.1, 400)
    ((low, high),) = bootstrap_intervals(_sums(values, [str(n) for n in range(400)]), _means)
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - half, abs=1.5e-3)
    assert high == pytest.approx(values.mean() + half, abs=1.5e-3)


def test_images_of_one_group_are_drawn_together_and_widen_the_interval():
    generator = np.random.default_rng(1)
    of_group = generator.normal(0.7, 0.1, 20)
    values = np.repeat(of_group, 30) + generator.normal(0, 0.01, 600)
    alone = bootstrap_intervals(_sums(values, [str(n) for n in range(600)]), _means)[0]
    grouped = bootstrap_intervals(_sums(values, [str(n // 30) for n in range(600)]), _means)[0]
    assert grouped[1] - grouped[0] > 4 * (alone[1] - alone[0])


def test_intervals_are_the_same_every_time_and_none_of_a_single_unit():
    sums = _sums(np.arange(5.0), list("abcde"))
    assert bootstrap_intervals(sums, _means) == bootstrap_intervals(sums, _means)
    assert bootstrap_intervals(sums[:1], _means) == [None]


def test_a_score_that_no_resample_has_has_no_interval():
    sums = _sums(np.arange(5.0), list("abcde"))
    assert bootstrap_intervals(sums, lambda drawn: np.full((len(drawn), 1), np.nan)) == [None]
