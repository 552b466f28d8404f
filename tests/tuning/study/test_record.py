import json
import math
from dataclasses import asdict

import pytest
from optuna.trial import TrialState

from sweep_results import finish, record_epoch, results
from unetpp.config import replace
from unetpp.tuning.study.epochs import EpochRecord, epoch_records, kept_levels, trial_seconds
from unetpp.tuning.study.record import TrialRecord, cause_of, is_infeasible


def start(study, space) -> int:
    trial = study.ask()
    space(trial)
    number: int = trial.number
    return number


def test_record_epoch_keeps_levels_and_the_headline_as_intermediate_value(study, space) -> None:
    number = start(study, space)
    for epoch, qualities in ((1, (0.3, 0.2)), (2, (0.3, 0.5))):
        record_epoch(study, number, epoch, results(*qualities))
    (trial,) = study.trials
    assert trial.intermediate_values == {1: 0.3, 2: 0.5}
    assert epoch_records(trial) == {
        1: EpochRecord(results(0.3, 0.2)),
        2: EpochRecord(results(0.3, 0.5)),
    }


def test_record_epoch_keeps_seconds_and_verdict_also_of_an_epoch_without_scores(study, space) -> None:
    record = TrialRecord(study, start(study, space))
    epochs = {1: EpochRecord([], 1.5), 2: EpochRecord(results(0.3, math.inf), 2.5, "stop")}
    for epoch, found in epochs.items():
        record.epoch(epoch, found)
    (trial,) = study.trials
    assert epoch_records(trial) == epochs
    assert trial_seconds(trial, epochs) == 4.0


def test_record_of_a_study_in_the_former_layout_is_read_and_continued(study, space) -> None:
    trial = study.ask()
    space(trial)
    for epoch, quality in ((1, 0.3), (2, 0.4)):
        trial.report(quality, epoch)
        trial.set_user_attr(f"levels:{epoch}", json.dumps([asdict(found) for found in results(quality)]))
    trial.set_user_attr("seconds", 20.0)
    record = TrialRecord(study, trial.number)
    assert [found.levels for found in record.epochs.values()] == [results(0.3), results(0.4)]
    record.epoch(2, EpochRecord(results(0.9), 10.0))
    record.epoch(3, EpochRecord(results(0.5), 10.0))
    record.finish("COMPLETE")
    (ended,) = study.trials
    assert ended.value == 0.5
    assert trial_seconds(ended, epoch_records(ended)) == 30.0


def test_record_epoch_repeated_after_a_resume_changes_nothing(study, space) -> None:
    number = start(study, space)
    for _ in range(2):
        record_epoch(study, number, 1, results(0.3))
    assert study.trials[0].intermediate_values == {1: 0.3}


def test_kept_levels_are_those_of_the_epoch_with_the_best_deepest_level(study, space) -> None:
    number = start(study, space)
    for epoch, qualities in ((1, (0.9, 0.2)), (2, (0.3, 0.5)), (3, (0.1, 0.5)), (4, (0.9, math.nan))):
        record_epoch(study, number, epoch, results(*qualities))
    assert kept_levels(epoch_records(study.trials[0])) == results(0.3, 0.5)


def test_finish_complete_takes_the_headline_of_the_kept_epoch(study, space) -> None:
    number = start(study, space)
    record_epoch(study, number, 1, results(0.6, 0.5))
    record_epoch(study, number, 2, results(0.1, 0.2))
    assert finish(study, number, "COMPLETE")
    assert (study.trials[0].state, study.trials[0].value) == (TrialState.COMPLETE, 0.6)


def test_finish_complete_with_several_objectives_has_a_value_for_each(open_, space, base) -> None:
    study = open_(config=replace(base, {"tune.objectives": ["quality", "latency", "params"]}))
    number = start(study, space)
    record_epoch(study, number, 1, results(0.6, 0.7))
    finish(study, number, "COMPLETE")
    assert study.trials[0].values == [0.7, 0.04, 400.0]


@pytest.mark.parametrize("qualities", [None, (math.nan, math.nan)])
def test_finish_complete_without_a_finite_quality_fails(study, space, qualities) -> None:
    number = start(study, space)
    if qualities:
        record_epoch(study, number, 1, results(*qualities))
    finish(study, number, "COMPLETE")
    assert study.trials[0].state == TrialState.FAIL
    assert "finite quality" in cause_of(study.trials[0])


def test_finish_pruned_keeps_the_intermediate_values(study, space) -> None:
    number = start(study, space)
    record_epoch(study, number, 1, results(0.6))
    finish(study, number, "PRUNED")
    (trial,) = study.trials
    assert (trial.state, trial.value, trial.intermediate_values) == (TrialState.PRUNED, 0.6, {1: 0.6})


def test_finish_pruned_with_several_objectives_is_accepted(open_, space, base) -> None:
    study = open_(config=replace(base, {"tune.objectives": ["quality", "macs"], "tune.sampler": "tpe"}))
    for _ in range(12):  # past TPE's random start
        number = start(study, space)
        record_epoch(study, number, 1, results(0.6))
        finish(study, number, "PRUNED" if number % 2 else "COMPLETE")
    assert {trial.state for trial in study.trials} == {TrialState.PRUNED, TrialState.COMPLETE}


def test_finish_fail_keeps_the_cause(study, space) -> None:
    number = start(study, space)
    finish(study, number, "FAIL", cause="CUDA out of memory")
    assert (study.trials[0].state, cause_of(study.trials[0])) == (TrialState.FAIL, "CUDA out of memory")


def test_finish_infeasible_is_marked_by_a_constraint(study, space) -> None:
    number = start(study, space)
    finish(study, number, "INFEASIBLE", cause="needs 9.1 GiB", violation=0.5)
    (trial,) = study.trials
    assert (trial.state, trial.value) == (TrialState.PRUNED, None)
    assert is_infeasible(trial)
    assert cause_of(trial) == "needs 9.1 GiB"


@pytest.mark.slow
def test_infeasible_trials_teach_tpe_to_stay_away(write_space, open_, base) -> None:
    """What would be best does not fit; failures teach nothing, so the sampler keeps going there."""
    text = "def space(trial):\n    return {'loss.ce': trial.suggest_float('loss.ce', 0, 1)}\n"
    space = write_space(text)

    def beyond(outcome: str) -> int:
        study = open_(storage_url="sqlite://", space=space, config=replace(base, {"tune.sampler": "tpe"}))
        count = 0
        for number in range(30):
            trial = study.ask()
            value = space(trial)["loss.ce"]
            if value > 0.5:
                count += 1
                finish(study, number, outcome, cause="too large", violation=value)
            else:
                record_epoch(study, number, 1, results(value))
                finish(study, number, "COMPLETE")
        return count

    assert beyond("INFEASIBLE") < beyond("FAIL")


@pytest.mark.parametrize("outcome", ["COMPLETE", "PRUNED", "FAIL", "INFEASIBLE"])
def test_finished_trial_is_never_touched_again(study, space, outcome) -> None:
    number = start(study, space)
    record_epoch(study, number, 1, results(0.6))
    assert finish(study, number, "COMPLETE")
    before = study.trials[0]
    assert not record_epoch(study, number, 2, results(0.9))
    assert not TrialRecord(study, number).note("run", "x")
    assert not finish(study, number, outcome, cause="late")
    assert study.trials[0] == before


def test_record_of_an_unknown_trial_is_an_error(study) -> None:
    with pytest.raises(ValueError, match="one of the study's 0; it is 3"):
        record_epoch(study, 3, 1, results(0.1))
