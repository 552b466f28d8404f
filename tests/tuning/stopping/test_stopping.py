import math
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep_results import results
from unetpp.config import TuneConfig
from unetpp.config.sections.train import TrainConfig
from unetpp.tuning.results.pareto import contributions
from unetpp.tuning.stopping import (
    AshaRule,
    ExtrapolationRule,
    MedianRule,
    ParetoRule,
    Rule,
    build_rule,
)
from unetpp.tuning.stopping.rule import rung_epochs
from unetpp.tuning.study.levels import LevelResult

MAX_EPOCHS = 9
RULES = {
    "asha": lambda: AshaRule(1, 3, MAX_EPOCHS),
    "median": lambda: MedianRule(2, MAX_EPOCHS),
    "curves": lambda: ExtrapolationRule(("quality", "latency"), 2, MAX_EPOCHS),
    "pareto": lambda: ParetoRule(("quality", "latency"), 1, 3, MAX_EPOCHS),
}
LEVELS = st.builds(
    lambda q, t: results(*q, latency_s=t),
    st.lists(st.floats(0, 1) | st.just(math.nan), min_size=1, max_size=3),
    st.floats(0.01, 1),
)
SWEEPS = st.lists(st.tuples(st.integers(0, 6), st.integers(1, 2), LEVELS), max_size=40)
"""Trials in the order of their reports, the epochs since the trial's last one, and what it reports."""


class Report(NamedTuple):
    trial: int
    epoch: int
    levels: list[LevelResult]


def sweep_reports(rule: Rule, steps: list[tuple[int, int, list[LevelResult]]]) -> list[tuple[Report, str]]:
    """A sweep's reports with the decisions, as `steps` tell; trials that were stopped or ended are silent."""
    epochs: dict[int, int] = {}
    stopped: set[int] = set()
    made = []
    for trial, further, levels in steps:
        epochs[trial] = epochs.get(trial, 0) + further
        if trial in stopped or epochs[trial] > MAX_EPOCHS:
            continue
        report = Report(trial, epochs[trial], levels)
        made.append((report, rule.decide(*report)))
        if made[-1][1] == "stop":
            stopped.add(trial)
    return made


def feed(rule: Rule, qualities: list[float], epoch: int) -> list[str]:
    return [rule.decide(trial, epoch, results(quality)) for trial, quality in enumerate(qualities)]


@pytest.mark.parametrize(
    ("grace", "factor", "epochs", "rungs"),
    [(1, 3, 9, [1, 3]), (1, 3, 10, [1, 3, 9]), (2, 2, 16, [2, 4, 8]), (5, 3, 5, [])],
)
def test_rung_epochs_multiply_up_to_before_the_end(grace, factor, epochs, rungs) -> None:
    assert rung_epochs(grace, factor, epochs) == rungs


def test_asha_best_third_goes_on() -> None:
    rule = AshaRule(1, 3, MAX_EPOCHS)
    assert feed(rule, [0.5, 0.4, 0.6, 0.3, 0.55, 0.7, 0.65], 1) == [
        "continue",  # the first
        "stop",  # 2nd of 2
        "continue",  # 1st of 3
        "stop",
        "stop",  # 2nd of 5: one may go on
        "continue",  # 1st of 6: two may
        "continue",  # 2nd of 7
    ]


def test_asha_judges_at_rungs_only_and_each_once() -> None:
    rule = AshaRule(1, 3, MAX_EPOCHS)
    feed(rule, [0.9, 0.95], 1)
    assert rule.decide(1, 2, results(0.0)) == "continue"
    assert rule.decide(1, 3, results(0.5)) == "continue"
    assert rule.decide(0, 3, results(0.4)) == "stop"
    assert rule.decide(1, MAX_EPOCHS, results(0.0)) == "continue"


def test_asha_report_past_a_rung_that_was_not_validated_counts_for_it() -> None:
    rule = AshaRule(1, 3, MAX_EPOCHS)
    assert rule.decide(0, 2, results(0.9)) == "continue"
    assert rule.decide(1, 1, results(0.5)) == "stop"


def test_asha_stopped_trial_stays_stopped() -> None:
    rule = AshaRule(1, 3, MAX_EPOCHS)
    feed(rule, [0.9, 0.5], 1)
    assert rule.decide(1, 2, results(1.0)) == "stop"


def test_asha_diverged_trial_stops_even_if_it_is_the_first() -> None:
    assert AshaRule(1, 3, MAX_EPOCHS).decide(0, 1, results(math.nan)) == "stop"


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.integers(2, 5))
def test_asha_survivors_are_among_the_best_when_they_came(qualities: list[float], factor: int) -> None:
    for index, decision in enumerate(feed(AshaRule(1, factor, MAX_EPOCHS), qualities, 1)):
        seen = qualities[: index + 1]
        better = sum(other >= qualities[index] for other in seen[:-1])
        assert (decision == "continue") == (better < max(1, len(seen) // factor))


@given(st.permutations(range(27)))
def test_asha_best_trial_always_goes_on(order: list[int]) -> None:
    decisions = feed(AshaRule(1, 3, MAX_EPOCHS), [float(value) for value in order], 1)
    assert decisions[order.index(26)] == "continue"


def test_median_stops_below_the_median_of_the_others() -> None:
    rule = MedianRule(2, MAX_EPOCHS)
    for epoch in (1, 2):
        for trial, quality in enumerate((0.5, 0.6, 0.7)):
            assert rule.decide(trial, epoch, results(quality)) == "continue"
    assert rule.decide(3, 1, results(0.1)) == "continue"  # grace
    assert rule.decide(3, 2, results(0.59)) == "stop"
    assert rule.decide(4, 1, results(0.62)) == "continue"
    assert rule.decide(4, 2, results(0.2)) == "continue"  # its best so far counts
    assert rule.decide(5, 2, results(math.nan)) == "stop"


def test_median_ignores_trials_that_have_not_come_as_far() -> None:
    rule = MedianRule(1, MAX_EPOCHS)
    for trial in range(3):
        rule.decide(trial, 1, results(0.9))
    assert rule.decide(3, 3, results(0.1)) == "continue"


def point(quality: float, latency_s: float) -> list[LevelResult]:
    return [LevelResult(1, quality, latency_s, 1, 1)]


def test_pareto_keeps_fast_and_good_trials_alike() -> None:
    rule = ParetoRule(("quality", "latency"), 1, 3, MAX_EPOCHS)
    assert rule.decide(0, 1, point(0.9, 1.0)) == "continue"
    assert rule.decide(1, 1, point(0.5, 0.1)) == "continue"
    assert rule.decide(2, 1, point(0.4, 0.5)) == "stop"
    assert rule.decide(3, 1, point(0.7, 0.5)) == "continue"


def test_pareto_one_non_dominated_level_is_enough() -> None:
    rule = ParetoRule(("quality", "latency"), 1, 3, MAX_EPOCHS)
    rule.decide(0, 1, point(0.9, 1.0))
    poor_but_fast = LevelResult(1, 0.3, 0.1, 1, 1)
    assert rule.decide(1, 1, [poor_but_fast, LevelResult(2, 0.8, 2.0, 1, 1)]) == "continue"


def test_pareto_fills_up_with_the_next_front() -> None:
    rule = ParetoRule(("quality", "latency"), 1, 2, MAX_EPOCHS)
    rule.decide(0, 1, point(0.9, 0.1))
    decisions = [rule.decide(n, 1, point(0.5 - n / 100, 0.5 + n / 100)) for n in (1, 2)]
    assert decisions == ["stop", "stop"]  # half of two and of three is the front itself
    assert rule.decide(3, 1, point(0.8, 0.2)) == "continue"  # second best of four


def test_pareto_diverged_trial_stops_however_fast() -> None:
    rule = ParetoRule(("quality", "latency"), 1, 3, MAX_EPOCHS)
    rule.decide(0, 1, point(0.9, 1.0))
    assert rule.decide(1, 1, point(math.nan, 0.001)) == "stop"


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.1, 1)), min_size=1, max_size=12))
@settings(max_examples=50)
def test_pareto_owner_of_a_non_dominated_point_is_never_stopped(points: list[tuple[float, float]]) -> None:
    rule = ParetoRule(("quality", "latency"), 1, 3, MAX_EPOCHS)
    for trial, (quality, latency_s) in enumerate(points):
        decision = rule.decide(trial, 1, point(quality, latency_s))
        beaten = any(
            q >= quality and t <= latency_s and (q, t) != (quality, latency_s) for q, t in points[:trial]
        )
        assert beaten or decision == "continue"


@pytest.mark.parametrize("name", RULES)
@given(steps=SWEEPS, kill=st.integers(0, 40))
@settings(max_examples=60)
def test_rule_of_a_resumed_sweep_decides_as_the_undisturbed_one(name, steps, kill) -> None:
    undisturbed = sweep_reports(RULES[name](), steps)
    before, after = undisturbed[:kill], undisturbed[kill:]
    resumed = RULES[name]()
    # The study gives its trials back by number, ended and running ones alike.
    for report, verdict in sorted(before, key=lambda made: (made[0].trial, made[0].epoch)):
        resumed.enter(*report, verdict)
    assert [resumed.decide(*report) for report, _ in after] == [verdict for _, verdict in after]


@pytest.mark.parametrize("name", RULES)
@given(steps=SWEEPS)
@settings(max_examples=40)
def test_rule_known_report_is_not_judged_again(name, steps) -> None:
    rule = RULES[name]()
    made = sweep_reports(rule, steps)
    stopped = {report.trial for report, verdict in made if verdict == "stop"}
    for report, _ in made:
        assert rule.decide(*report) == ("stop" if report.trial in stopped else "continue")


def pareto_keeps_last(trials: list[list[LevelResult]]) -> bool:
    """The rule as its docstring has it, point by point."""
    points = [(n, (-r.quality, r.latency_s)) for n, levels in enumerate(trials) for r in levels]
    standing: dict[int, tuple[int, float]] = {}
    low, span = [], []
    for values in zip(*(point for _, point in points), strict=True):
        low.append(min(values))
        span.append((max(values) - min(values)) or 1.0)
    scaled = [tuple((v - a) / b for v, a, b in zip(p, low, span, strict=True)) for _, p in points]
    left, rank = list(range(len(points))), 0
    while left:
        front = [i for i in left if not any(dominates(points[j][1], points[i][1]) for j in left)]
        for index, volume in zip(front, contributions([scaled[i] for i in front], (1.1, 1.1)), strict=True):
            owner = points[index][0]
            standing[owner] = min(standing.get(owner, (rank, -volume)), (rank, -volume))
        left, rank = [index for index in left if index not in front], rank + 1
    last = len(trials) - 1
    better = sum(other <= standing[last] for trial, other in standing.items() if trial != last)
    return standing[last][0] == 0 or better < len(trials) // 2


def dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


ONE = st.just(1)
LEVEL = st.builds(LevelResult, ONE, st.integers(0, 9), st.integers(1, 9), ONE, ONE)


@pytest.mark.slow
@given(st.lists(st.lists(LEVEL, min_size=1, max_size=3), min_size=1, max_size=14))
@settings(max_examples=150)
def test_pareto_rule_is_non_dominated_sorting_of_all_points(trials) -> None:
    rule = ParetoRule(("quality", "latency"), 1, 2, MAX_EPOCHS)
    for number, levels in enumerate(trials):
        expected = pareto_keeps_last(trials[: number + 1])
        assert (rule.decide(number, 1, levels) == "continue") == expected


@pytest.mark.parametrize(
    ("tune", "kind"),
    [
        (TuneConfig(), AshaRule),
        (TuneConfig(scheduler="median"), MedianRule),
        (TuneConfig(scheduler="curves"), ExtrapolationRule),
        (TuneConfig(objectives=("quality", "macs")), ParetoRule),
    ],
)
def test_build_rule_follows_the_configuration(tune: TuneConfig, kind: type[Rule]) -> None:
    assert type(build_rule(tune, TrainConfig(epochs=9))) is kind


@pytest.mark.parametrize("objectives", [("quality",), ("quality", "params")])
def test_build_rule_none_never_stops(objectives) -> None:
    rule = build_rule(TuneConfig(scheduler="none", objectives=objectives), TrainConfig(epochs=9))
    assert set(feed(rule, [0.9, 0.1, math.nan, 0.0], 5)) == {"continue"}
