"""Learning curves carried on to the last epoch, and the rule that stops trials by them."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from sweep_results import results
from unetpp.tuning.learning_curves import MIN_EPOCHS, chance_above
from unetpp.tuning.stopping import ExtrapolationRule
from unetpp.tuning.study.levels import LevelResult

LAST = 20


def power(end: float, rise: float, rate: float, epochs: int) -> list[float]:
    """end - rise * x**-rate at epochs 1, 2, ..."""
    return [end - rise * x**-rate for x in range(1, epochs + 1)]


def chance(qualities: Sequence[float], bar: float) -> float:
    return chance_above(range(1, len(qualities) + 1), qualities, LAST, bar)


def test_chance_above_of_a_curve_that_levels_off_is_sure_on_both_sides() -> None:
    curve = power(0.8, 0.5, 1.5, 8)
    assert chance(curve, 0.75) > 0.95
    assert chance(curve, 0.9) < 0.05


def test_chance_above_of_a_curve_that_still_rises_reaches_beyond_what_was_seen() -> None:
    curve = power(1.0, 0.6, 0.5, 6)
    assert max(curve) < 0.76
    assert chance(curve, 0.8) > 0.5


def test_chance_above_falls_with_the_bar_and_with_what_is_known() -> None:
    curve = power(0.8, 0.5, 1.0, 12)
    chances = [chance(curve, bar) for bar in (0.6, 0.7, 0.76, 0.78, 0.85, 0.95)]
    assert chances == sorted(chances, reverse=True)
    assert chance(curve[:MIN_EPOCHS], 0.9) > chance(curve, 0.9)


@pytest.mark.parametrize("curve", [[0.5] * 6, [0.7, 0.6, 0.5, 0.4, 0.3]])
def test_chance_above_of_a_curve_that_does_not_rise_stays_about_its_mean(curve) -> None:
    assert chance(curve, float(np.mean(curve))) == pytest.approx(0.5)
    assert chance(curve, 0.95) < 0.1


def test_chance_above_below_five_percent_is_rarely_wrong() -> None:
    generator = np.random.default_rng(0)
    stopped = wrong = 0
    for _ in range(400):
        end, rise, rate = generator.uniform(0.6, 0.95), generator.uniform(0.1, 0.6), generator.uniform(0.3, 2)
        curve = np.array(power(end, rise, rate, LAST)) + generator.normal(0, 0.01, LAST)
        seen = int(generator.integers(MIN_EPOCHS, LAST))
        bar = generator.uniform(0.5, 1)
        if chance_above(range(1, seen + 1), curve[:seen], LAST, bar) < 0.05:
            stopped, wrong = stopped + 1, wrong + (curve[-1] > bar)
    assert stopped > 100
    assert wrong <= 0.05 * stopped


def reports(rule: ExtrapolationRule, trial: int, qualities: Sequence[float]) -> list[str]:
    return [rule.decide(trial, epoch, results(quality)) for epoch, quality in enumerate(qualities, start=1)]


def test_rule_stops_what_levels_off_below_the_best_and_spares_what_still_rises() -> None:
    rule = ExtrapolationRule(("quality",), 1, LAST)
    assert set(reports(rule, 0, power(0.9, 0.5, 1.0, LAST))) == {"continue"}
    low = reports(rule, 1, power(0.6, 0.3, 1.5, LAST))
    assert low[: MIN_EPOCHS - 1] == ["continue"] * (MIN_EPOCHS - 1)
    assert "stop" in low[:10]
    assert "stop" not in reports(rule, 2, power(1.0, 0.6, 0.6, 8))


def test_rule_first_trial_has_nobody_to_reach() -> None:
    rule = ExtrapolationRule(("quality",), 1, LAST)
    assert set(reports(rule, 0, [0.1] * LAST)) == {"continue"}


@pytest.mark.parametrize("grace", [2, 12])
def test_rule_grace_and_divergence(grace: int) -> None:
    rule = ExtrapolationRule(("quality",), grace, LAST)
    reports(rule, 0, power(0.9, 0.5, 1.0, LAST))
    assert reports(rule, 1, [math.nan] * grace).index("stop") == grace - 1


def test_rule_one_network_with_a_chance_keeps_the_trial() -> None:
    rule = ExtrapolationRule(("quality",), 1, LAST)
    reports(rule, 0, power(0.9, 0.5, 1.0, LAST))
    slow, low = power(1.0, 0.6, 0.6, 8), power(0.6, 0.3, 1.5, 8)
    for epoch, pair in enumerate(zip(slow, low, strict=True), start=1):
        assert rule.decide(1, epoch, results(*pair)) == "continue"


def test_rule_of_two_objectives_keeps_what_is_cheaper_than_all_better_ones() -> None:
    rule = ExtrapolationRule(("quality", "latency"), 1, LAST)
    for epoch, quality in enumerate(power(0.9, 0.5, 1.0, LAST), start=1):
        rule.decide(0, epoch, [LevelResult(1, quality, 1.0, 1, 1)])
    low = power(0.6, 0.3, 1.5, LAST)
    for trial, latency_s in ((1, 0.5), (2, 2.0)):
        ends = [
            rule.decide(trial, epoch, [LevelResult(1, q, latency_s, 1, 1)])
            for epoch, q in enumerate(low, start=1)
        ]
        assert ("stop" in ends) == (latency_s > 1)
