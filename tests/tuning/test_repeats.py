"""A configuration that a sweep has had is not trained again."""

import pytest
from optuna.trial import TrialState

from sweeps import epoch_metrics, play_trial
from unetpp.tuning.results.leaderboard import leaderboard, sweep_summary
from unetpp.tuning.study.record import SAME_AS

ONE = 'def space(trial):\n    trial.suggest_float("unused", 0.0, 1.0)\n    return {"model.width": 3}\n'
TWO = 'def space(trial):\n    return {"model.width": 2 + trial.number // 2}\n'
PAIR = "def space(trial):\n    return [{one}, {other}][trial.number % 2]\n"
SEEDS = """
def space(trial):
    return {"model.width": 3, "train.seed": trial.suggest_int("train.seed", 0, 99)}
"""


def states(ledger) -> list[tuple[TrialState, int | None]]:
    return [(trial.state, trial.user_attrs.get(SAME_AS)) for trial in ledger.study.trials]


def test_repeats_are_told_the_earlier_result_and_count_as_trials(open_ledger):
    ledger = open_ledger(source=ONE)
    play_trial(ledger, 0.8)
    assert ledger.next_trial() is None
    assert states(ledger) == [(TrialState.COMPLETE, None), *[(TrialState.COMPLETE, 0)] * 3]
    assert [trial.value for trial in ledger.study.trials] == [0.8] * 4
    assert {row.trial for row in leaderboard(ledger.study)} == {0}
    assert sweep_summary(ledger.study)["trials"]["repeated"] == 3
    assert not ledger.interrupted


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"model.dilation": 1}, {"model.dilation": [1, 1, 1]}),
        ({"model.width": 3}, {"model.widths": [3, 6, 12]}),
        ({"model.width": 3, "model.widths": [2, 3, 5]}, {"model.width": 4, "model.widths": [2, 3, 5]}),
        ({"loss.focal_gamma": 1.0}, {"loss.focal_gamma": 2.0}),
        ({"loss.tversky_alpha": 0.3}, {"loss.tversky_alpha": 0.4, "loss.tversky_beta": 0.6}),
        ({"loss.distill_temperature": 1.0}, {}),
        ({"optim.momentum": 0.5}, {}),
        ({"optim.poly_power": 2.0}, {"optim.schedule": "cosine"}),
        ({"data.batch_size": "auto"}, {}),
    ],
)
def test_repeats_are_found_by_what_was_planned_not_by_what_was_asked(open_ledger, one, other):
    ledger = open_ledger("tune.trials=2", source=PAIR.format(one=one, other=other))
    assert play_trial(ledger, 0.8)[0] == 0
    assert ledger.next_trial() is None
    assert states(ledger) == [(TrialState.COMPLETE, None), (TrialState.COMPLETE, 0)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"model.dilation": [1, 1, 2]}, {"model.dilation": 2}),
        ({"model.widths": [3, 6, 12]}, {"model.widths": [3, 6, 13]}),
        ({"loss.focal": 1.0, "loss.focal_gamma": 1.0}, {"loss.focal": 1.0}),
        ({"optim.name": "sgd", "optim.momentum": 0.5}, {"optim.name": "sgd"}),
    ],
)
def test_repeats_that_train_otherwise_are_none(open_ledger, one, other):
    ledger = open_ledger("tune.trials=2", source=PAIR.format(one=one, other=other))
    assert [play_trial(ledger, 0.8)[0] for _ in range(2)] == [0, 1]


def test_repeats_of_a_stopped_trial_are_stopped_ones(open_ledger):
    ledger = open_ledger(source=TWO)
    play_trial(ledger, 0.8)
    assert play_trial(ledger, 0.2)[0] == 2
    assert ledger.next_trial() is None
    assert states(ledger)[2:] == [(TrialState.PRUNED, None), (TrialState.PRUNED, 2)]
    assert ledger.study.trials[3].intermediate_values == ledger.study.trials[2].intermediate_values


def test_repeats_of_a_running_trial_wait_for_its_result(open_ledger):
    ledger = open_ledger(source=TWO)
    first = ledger.next_trial()
    third = ledger.next_trial()
    assert (first.number, third.number) == (0, 2)
    assert ledger.next_trial() is None
    assert [state for state, _ in states(ledger)] == [TrialState.RUNNING] * 4
    for spec, dice in ((first, 0.8), (third, 0.9)):
        ledger.report(spec.number, epoch_metrics(9, dice, finished=True))
        ledger.end(spec.number)
    assert states(ledger)[1::2] == [(TrialState.COMPLETE, 0), (TrialState.COMPLETE, 2)]
    assert not ledger.interrupted


def test_repeats_that_wait_are_found_again_after_a_crash(open_ledger):
    ledger = open_ledger(source=ONE)
    crashed = ledger.next_trial()
    assert ledger.next_trial() is None
    resumed = open_ledger(source=ONE)
    assert resumed.next_trial() == crashed
    assert resumed.next_trial() is None
    resumed.report(crashed.number, epoch_metrics(9, 0.8, finished=True))
    resumed.end(crashed.number)
    assert states(resumed)[1:] == [(TrialState.COMPLETE, 0)] * 3


@pytest.mark.slow
@pytest.mark.parametrize("dice", [float("nan"), None])
def test_repeats_of_a_trial_without_a_result_are_trained(open_ledger, dice):
    ledger = open_ledger(source=ONE)
    failed = ledger.next_trial()
    assert ledger.next_trial() is None
    if dice is None:
        ledger.end(failed.number, "boom")
    else:
        ledger.report(failed.number, epoch_metrics(9, dice, finished=True))
        ledger.end(failed.number)
    assert ledger.study.trials[0].state == TrialState.FAIL
    again = ledger.next_trial()
    assert (again.number, again.config.model) == (1, failed.config.model)
    ledger.report(again.number, epoch_metrics(9, 0.7, finished=True))
    ledger.end(again.number)
    assert ledger.next_trial() is None
    assert states(ledger)[2:] == [(TrialState.COMPLETE, 1)] * 2


def test_repeats_with_another_seed_are_trained(open_ledger):
    ledger = open_ledger(source=SEEDS)
    numbers = [play_trial(ledger, 0.8)[0] for _ in range(4)]
    assert numbers == [0, 1, 2, 3]
