import json
import math

import optuna
import pytest

from sweep_results import finish, record_epoch, results
from unetpp.config import replace
from unetpp.tuning.results.leaderboard import (
    best_row,
    failure_causes,
    leaderboard,
    pareto_rows,
    sweep_summary,
    trial_counts,
)
from unetpp.tuning.study.levels import LevelResult


def trial(study: optuna.Study, space, levels: list[LevelResult], outcome: str | None) -> int:
    asked = study.ask()
    space(asked)
    record_epoch(study, asked.number, 1, levels)
    if outcome:
        finish(study, asked.number, outcome)
    return asked.number


@pytest.fixture
def swept(study, space) -> optuna.Study:
    trial(study, space, results(0.5, 0.8, 0.7), "COMPLETE")
    trial(study, space, results(0.6, 0.8), "COMPLETE")
    trial(study, space, results(0.9), "PRUNED")
    trial(study, space, results(0.95), "FAIL")
    trial(study, space, results(0.2, math.nan), None)
    infeasible = study.ask().number
    finish(study, infeasible, "INFEASIBLE")
    return study


def test_leaderboard_has_a_row_per_trial_and_level_best_first(swept) -> None:
    rows = leaderboard(swept)
    assert [(row.trial, row.level, row.quality, row.state) for row in rows] == [
        (2, 1, 0.9, "PRUNED"),
        (0, 2, 0.8, "COMPLETE"),
        (1, 2, 0.8, "COMPLETE"),
        (0, 3, 0.7, "COMPLETE"),
        (1, 1, 0.6, "COMPLETE"),
        (0, 1, 0.5, "COMPLETE"),
        (4, 1, 0.2, "RUNNING"),
    ]
    assert rows[1].settings == swept.trials[0].params
    assert (rows[1].latency_s, rows[1].params, rows[1].macs) == (0.04, 400, 4000)


def test_best_row_prefers_a_complete_trial(swept, open_) -> None:
    best = best_row(leaderboard(swept))
    assert best is not None
    assert (best.trial, best.level) == (0, 2)


def test_best_row_without_a_complete_trial_is_the_best_there_is(study, space) -> None:
    assert best_row(leaderboard(study)) is None
    trial(study, space, results(0.3), "PRUNED")
    best = best_row(leaderboard(study))
    assert best is not None
    assert best.trial == 0


def test_pareto_rows_of_one_objective_weigh_quality_against_latency(swept) -> None:
    rows = pareto_rows(swept, leaderboard(swept))
    assert [(row.trial, row.level) for row in rows] == [(2, 1)]


def test_pareto_rows_follow_the_studys_objectives(open_, space, base) -> None:
    study = open_(config=replace(base, {"tune.objectives": ["quality", "params"]}))
    trial(study, space, results(0.5, 0.8, 0.7), "COMPLETE")
    rows = pareto_rows(study, leaderboard(study))
    assert [row.level for row in rows] == [2, 1]


def test_trial_counts_account_for_every_finished_trial(swept) -> None:
    assert trial_counts(swept) == {"complete": 2, "pruned": 2, "failed": 1, "infeasible": 1}


def test_sweep_summary_is_json_with_the_agreed_keys(swept) -> None:
    summary = json.loads(json.dumps(sweep_summary(swept)))
    assert summary["best"] == {"trial": 0, "level": 2, "value": 0.8, "params": swept.trials[0].params}
    assert summary["pareto"] == [
        {
            "trial": 2,
            "level": 1,
            "value": 0.9,
            "params": swept.trials[2].params,
            "latency_s": 0.02,
            "num_params": 200,
            "macs": 2000,
        }
    ]


def test_sweep_summary_of_an_empty_study(study) -> None:
    assert sweep_summary(study) == {
        "trials": {"complete": 0, "pruned": 0, "failed": 0, "infeasible": 0},
        "best": None,
        "pareto": [],
    }


def test_failure_causes_that_differ_in_numbers_are_one_with_a_count(study, space) -> None:
    for number, cause in enumerate(("lr=1.5e29 at step 3", "no space left", "lr=2e30 at step 14")):
        finish(study, trial(study, space, [], None), "FAIL", cause=cause)
        assert len(study.trials) == number + 1
    trial(study, space, results(math.nan), "PRUNED")
    trial(study, space, results(0.5), "PRUNED")
    finish(study, trial(study, space, [], None), "INFEASIBLE", cause="needs 9 GiB")
    assert failure_causes(study) == [
        ("lr=1.5e29 at step 3", 2),
        ("no space left", 1),
        ("no epoch has a finite quality on the validation split", 1),
        ("needs 9 GiB", 1),
    ]
