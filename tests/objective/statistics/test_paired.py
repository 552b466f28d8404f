import itertools

import numpy as np
import pytest

from unetpp.core.errors import InputError
from unetpp.core.seeds import rng
from unetpp.objective.statistics.paired import compare_paired, mean_interval


def scores(values) -> dict[str, float]:
    return {f"image-{index}": float(value) for index, value in enumerate(values)}


def drawn(shift: float, images: int, seed: int) -> tuple[dict[str, float], dict[str, float]]:
    """Hard and easy images make scores vary far more than the networks do."""
    generator = np.random.default_rng(seed)
    difficulty = generator.uniform(0.3, 0.9, images)
    a, b = (difficulty + generator.normal(0, 0.02, images) for _ in range(2))
    return scores(a), scores(b + shift)


def test_compare_clear_difference_is_distinguishable_and_signed() -> None:
    a, b = drawn(0.05, 40, seed=0)
    found = compare_paired(a, b)
    assert found.distinguishable
    assert 0 < found.ci_low < found.mean_difference < found.ci_high
    assert compare_paired(b, a).mean_difference == pytest.approx(-found.mean_difference)


def test_compare_equal_scores_are_not_distinguishable() -> None:
    a = scores(np.linspace(0.1, 0.9, 20))
    found = compare_paired(a, a)
    assert (found.mean_difference, found.p_value, found.distinguishable) == (0, 1, False)


def test_compare_is_deterministic_and_independent_of_the_images_order() -> None:
    a, b = drawn(0.01, 30, seed=1)
    backwards = dict(reversed(b.items()))
    assert compare_paired(a, b) == compare_paired(a, backwards)


@pytest.mark.parametrize("images", [5, 8])
def test_compare_few_images_have_the_exact_p_value(images: int) -> None:
    a, b = drawn(0.01, images, seed=2)
    differences = [b[name] - a[name] for name in a]
    observed = abs(sum(differences))
    extreme = sum(
        abs(sum(sign * d for sign, d in zip(signs, differences, strict=True))) >= observed - 1e-12
        for signs in itertools.product((-1, 1), repeat=images)
    )
    assert compare_paired(a, b).p_value == pytest.approx(extreme / 2**images)


@pytest.mark.slow
def test_compare_rarely_finds_a_difference_where_there_is_none() -> None:
    """At the 5 % level, 40 comparisons of equals have more than 6 hits with a probability of 0.3 %."""
    hits = sum(compare_paired(*drawn(0.0, 12, seed)).distinguishable for seed in range(40))
    assert hits <= 6


def test_compare_with_sampled_flips_agrees_with_the_exact_test() -> None:
    a, b = drawn(0.01, 12, seed=4)
    exact = compare_paired(a, b).p_value
    # A 13th image without a difference leaves the exact value as it is, and is past the exact limit.
    sampled = compare_paired(a | {"x": 0.5}, b | {"x": 0.5}).p_value
    assert sampled == pytest.approx(exact, abs=0.02)


@pytest.mark.parametrize(("a", "b"), [([0.1, 0.2], [0.1]), ([0.1], [0.2]), ([], [])])
def test_compare_of_different_or_too_few_images_is_refused(a: list[float], b: list[float]) -> None:
    with pytest.raises(InputError, match="evaluate both on one split"):
        compare_paired(scores(a), scores(b))


def test_mean_interval_is_that_of_the_normal_approximation_for_many_values() -> None:
    values = np.random.default_rng(0).normal(1.0, 2.0, 400)
    low, high = mean_interval(values, rng("test"))
    half = 1.96 * values.std() / 400**0.5
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.03)


def test_mean_interval_of_equal_values_is_that_value() -> None:
    assert mean_interval(np.full(5, 0.25), rng("test")) == (0.25, 0.25)
