import numpy as np
import pytest

from unetpp.core.confidence import mean_interval
from unetpp.core.seeds import rng


def test_mean_interval_is_that_of_the_normal_approximation_for_many_values() -> None:
    values = np.random.default_rng(0).normal(1.0, 2.0, 400)
    low, high = mean_interval(values, rng("test"))
    half = 1.96 * values.std() / 400**0.5
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.03)


def test_mean_interval_of_equal_values_is_that_value() -> None:
    assert mean_interval(np.full(5, 0.25), rng("test")) == (0.25, 0.25)
