"""What another hour of a sweep may find."""

import pytest

from sweep_results import finish, record_epoch, results
from unetpp.tuning.results.next_hour import next_hour
from unetpp.tuning.study.record import RAN


def played(study, qualities, *, ran_s=1800.0):
    for quality in qualities:
        number = study.ask().number
        record_epoch(study, number, 1, results(quality))
        finish(study, number, "COMPLETE")
    study.set_user_attr(RAN, ran_s)
    return study


@pytest.mark.slow
def test_next_hour_of_a_sweep_that_levels_off_gains_little(study) -> None:
    found = next_hour(played(study, [0.5, 0.7, 0.78, 0.8, 0.81, 0.81]))
    assert found is not None
    assert found.trials == 12
    assert found.chance == pytest.approx(12 / 18)
    assert 0 <= found.gain < 0.03
    assert found.to_json() == {"trials": 12, "chance": found.chance, "gain": found.gain}


def test_next_hour_of_a_sweep_that_still_rises_gains_more(study) -> None:
    found = next_hour(played(study, [0.3, 0.4, 0.5, 0.6]))
    assert found is not None
    assert found.gain > 0.05


def test_next_hour_never_loses_and_stays_within_a_score(study) -> None:
    found = next_hour(played(study, [0.99, 0.2, 0.1, 0.3, 0.2]))
    assert found is not None
    assert 0 <= found.gain <= 0.01


@pytest.mark.parametrize(("count", "ran_s"), [(3, 60.0), (6, 0.0)])
def test_next_hour_of_too_little_is_not_told(study, count, ran_s) -> None:
    assert next_hour(played(study, [0.5] * count, ran_s=ran_s)) is None


def test_next_hour_counts_trials_with_a_result_only(study) -> None:
    played(study, [0.5, 0.6, 0.7, 0.8])
    finish(study, study.ask().number, "FAIL", cause="boom")
    found = next_hour(study)
    assert found is not None
    assert found.trials == 8
