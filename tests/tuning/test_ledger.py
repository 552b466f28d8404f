"""The ledger launches, judges and ends trials as the study and the budget say, also after a restart."""

import random
import re
import subprocess
import sys
from collections import Counter
from functools import partial

import pytest
import sqlalchemy
from optuna.trial import TrialState

from sweeps import epoch_metrics as metrics
from sweeps import play_trial as run
from unetpp.config import replace
from unetpp.core.rundir import RunDir
from unetpp.tuning.ledger import Ledger
from unetpp.tuning.results.leaderboard import best_row, leaderboard, pareto_rows, trial_counts
from unetpp.tuning.study.epochs import epoch_records, trial_seconds


@pytest.mark.slow
def test_ledger_every_trial_is_accounted_for_and_asha_stops_the_worse(open_ledger):
    ledger = open_ledger()
    ends = [run(ledger, dice) for dice in (0.8, 0.5, 0.4, 0.9)]
    assert ledger.next_trial() is None
    assert [epoch for _, epoch in ends] == [9, 1, 1, 9]
    counts = trial_counts(ledger.study)
    assert (counts["complete"], counts["pruned"], counts["failed"]) == (2, 2, 0)
    best = ledger.best()
    assert best is not None
    assert (best.trial, best.level, best.quality) == (3, 2, 0.9)
    stopped = ledger.study.trials[1]
    assert stopped.state == TrialState.PRUNED
    assert stopped.intermediate_values == {1: 0.5}


def test_ledger_trial_specs_have_no_auto_left_and_their_own_folder(open_ledger):
    ledger = open_ledger()
    first, second = ledger.next_trial(), ledger.next_trial()
    assert first is not None
    assert second is not None
    assert first.config.run_uri.endswith("/sweep/trials/0000")
    assert second.config.run_uri.endswith("/sweep/trials/0001")
    assert first.config.data.crop == 16
    assert first.config.model.in_channels == 1


def test_ledger_start_up_is_the_time_before_the_first_epoch(open_ledger):
    ledger = open_ledger("tune.scheduler=none")
    fresh, continued = ledger.next_trial(), ledger.next_trial()
    ledger.report(fresh.number, metrics(1, 0.5, seconds=0.0))
    ledger.report(fresh.number, metrics(2, 0.5, seconds=0.0))
    # Its epoch took longer than this process knows it: it was trained before.
    ledger.report(continued.number, metrics(1, 0.5, seconds=1000.0))
    trials = ledger.study.trials
    assert 0 < trials[fresh.number].user_attrs["start_up_seconds"] < 1000
    assert "start_up_seconds" not in trials[continued.number].user_attrs


def test_ledger_wall_clock_budget_counts_what_ran_before_a_resume(open_ledger):
    ledger = open_ledger("tune.hours=1")
    run(ledger, 0.5)
    assert ledger.exhausted() is None
    ledger.study.set_user_attr("ran_seconds", 3600.0)
    resumed = open_ledger("tune.hours=1")
    assert resumed.next_trial() is None
    assert "tune.hours=1" in (resumed.exhausted() or "")


def test_ledger_repeated_reports_of_a_restarted_trial_are_counted_once(open_ledger):
    ledger = open_ledger("tune.scheduler=none")
    spec = ledger.next_trial()
    for epoch in (1, 2, 1, 2, 3):
        assert ledger.report(spec.number, metrics(epoch, 0.5, seconds=10.0)) == "continue"
    trial = ledger.study.trials[spec.number]
    assert ledger.trial_seconds == trial_seconds(trial, epoch_records(trial)) == 30.0
    assert trial.intermediate_values == {1: 0.5, 2: 0.5, 3: 0.5}


def test_ledger_gpu_hours_count_the_part_of_the_device(open_ledger):
    shared = ["scale.gpu=true", "scale.gpus_per_worker=0.5", "scale.address=cluster:1", "tune.gpu_hours=1"]
    ledger = open_ledger("tune.scheduler=none", *shared)
    spec = ledger.next_trial()
    assert ledger.report(spec.number, metrics(1, 0.5, seconds=3600.0)) == "continue"
    ledger.report(spec.number, metrics(2, 0.5, finished=True, seconds=3600.0))
    ledger.end(spec.number)
    assert "1.00 GPU-hours reached tune.gpu_hours=1" in (ledger.exhausted() or "")
    assert "1.00 GPU-hours" in (open_ledger(*shared).exhausted() or "")


def test_ledger_hours_on_cpus_are_no_gpu_hours(open_ledger):
    ledger = open_ledger("tune.scheduler=none", "tune.gpu_hours=1")
    spec = ledger.next_trial()
    assert ledger.report(spec.number, metrics(1, 0.5, seconds=7200.0)) == "continue"


@pytest.mark.parametrize(
    ("body", "state", "cause"),
    [
        ("raise RuntimeError('boom')", "FAIL", r"space\.py:5: space\(trial\) must not raise; .* boom"),
        ("return {'model.widht': 3}", "FAIL", r"unknown key 'model\.widht'; did you mean model\.width"),
        ("return {'model.width': -3}", "PRUNED", r"model\.width=-3"),
    ],
)
def test_ledger_space_that_fails_for_one_draw_costs_that_trial_only(open_ledger, caplog, body, state, cause):
    ledger = open_ledger(
        "tune.scheduler=none",
        source="def space(trial):\n"
        "    width = trial.suggest_int('model.width', 2, 5)\n"
        "    if trial.number != 1:\n        return {'model.width': width, 'train.seed': trial.number}\n"
        f"    {body}\n",
    )
    numbers = [run(ledger, 0.5)[0] for _ in range(3)]
    assert numbers == [0, 2, 3]
    assert ledger.next_trial() is None
    broken = ledger.study.trials[1]
    assert broken.state == TrialState[state]
    assert re.search(cause, broken.user_attrs["cause"])
    assert "trial 1 is not launched" in caplog.text


def test_ledger_trial_whose_parameters_were_never_drawn_is_drawn_and_run(open_ledger):
    ledger = open_ledger()
    ledger.study.ask()  # as a process leaves it that dies right after
    spec = open_ledger().next_trial()
    assert spec.number == 0
    assert 2 <= spec.config.model.width <= 5
    assert ledger.study.trials[0].params == {"model.width": spec.config.model.width}


@pytest.mark.slow
def test_ledger_continued_trial_keeps_what_its_machine_decided(open_ledger):
    ledger = open_ledger()
    spec = ledger.next_trial()
    started = replace(spec.config, {"data.batch_size": 2, "scale.max_failures": 9})
    RunDir(spec.config.run_uri).create(started.model_dump(mode="json"), [], ledger.setup.manifest, {})
    again = open_ledger().next_trial()
    assert again.config == replace(started, {"scale.max_failures": spec.config.scale.max_failures})


def test_ledger_trial_spec_says_how_each_auto_was_decided(open_ledger):
    spec = open_ledger("scale.cpus_per_worker=auto").next_trial()
    assert {d.field: d.value for d in spec.decisions}["scale.cpus_per_worker"] == 1
    assert all(decision.reason for decision in spec.decisions)
    assert "model.width" not in {decision.field for decision in spec.decisions}


def test_ledger_failed_trial_keeps_its_cause(open_ledger):
    ledger = open_ledger()
    spec = ledger.next_trial()
    ledger.end(spec.number, "NonFiniteError: 11 steps had a NaN")
    trial = ledger.study.trials[spec.number]
    assert trial.state == TrialState.FAIL
    assert "11 steps had a NaN" in trial.user_attrs["cause"]


def test_ledger_after_a_crash_continues_the_open_trial_and_repeats_none(open_ledger):
    ledger = open_ledger()
    run(ledger, 0.8)
    crashed = ledger.next_trial()
    ledger.report(crashed.number, metrics(1, 0.85))
    resumed = open_ledger()
    assert resumed.interrupted
    again = resumed.next_trial()
    assert again == crashed
    resumed.report(again.number, metrics(9, 0.85, finished=True))
    resumed.end(again.number)
    numbers = [run(resumed, 0.1)[0] for _ in range(2)]
    assert numbers == [2, 3]
    assert resumed.next_trial() is None
    assert not resumed.interrupted
    assert len(resumed.study.trials) == 4


def test_ledger_after_a_crash_still_holds_new_trials_against_the_old(open_ledger):
    ledger = open_ledger()
    for dice in (0.8, 0.7):
        run(ledger, dice)
    _, last_epoch = run(open_ledger(), 0.6)
    assert last_epoch == 1


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["asha", "median"])
@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.nightly) for seed in range(1, 9))]
)
def test_ledger_killed_at_any_moment_and_resumed_decides_as_undisturbed(open_ledger, rule, seed):
    """Twelve trials, four at a time; the killed driver's open trials report their earlier epochs again."""
    options = ["tune.trials=12", f"tune.scheduler={rule}", "train.epochs=9"]
    draws = random.Random(seed)
    quality = {(trial, epoch): draws.random() for trial in range(12) for epoch in range(1, 10)}
    kill = draws.randrange(5, 30)

    def play(kill: int | None) -> list[tuple[int, int, str]]:
        ledger, order, made = open_ledger(*options, storage="sqlite://"), random.Random(seed), []
        done: dict[int, int] = {}
        while True:
            while len(done) < 4 and (spec := ledger.next_trial()) is not None:
                done[spec.number] = 0
            if not done:
                return made
            number = order.choice(sorted(done))
            done[number] += 1
            made.append((number, done[number], report(ledger, number, done[number])))
            if made[-1][2] == "stop" or done[number] == 9:
                del done[number]
                ledger.end(number)
            if len(made) == kill:
                ledger = resume(ledger, done)

    def resume(killed: Ledger, done: dict[int, int]) -> Ledger:
        ledger = Ledger(killed.setup, killed.study)
        for number in sorted(done):
            spec = ledger.next_trial()
            assert spec.number == number
            for epoch in range(1, done[number] + 1):
                assert report(ledger, number, epoch) == "continue"
        return ledger

    def report(ledger: Ledger, number: int, epoch: int) -> str:
        return ledger.report(number, metrics(epoch, quality[number, epoch], finished=epoch == 9))

    assert play(kill) == play(None)


def test_ledger_decision_that_a_killed_driver_made_stands(open_ledger):
    ledger = open_ledger()
    run(ledger, 0.8)
    stopped = ledger.next_trial()
    assert ledger.report(stopped.number, metrics(1, 0.5)) == "stop"
    resumed = open_ledger()
    assert resumed.next_trial() == stopped
    assert resumed.report(stopped.number, metrics(1, 0.5)) == "stop"
    resumed.end(stopped.number)
    assert resumed.study.trials[1].state == TrialState.PRUNED


@pytest.mark.slow
def test_ledger_report_asks_as_little_of_a_long_study_as_of_a_short_one(open_ledger):
    def statements_of_a_report(trials: int) -> Counter[str]:
        ledger = open_ledger(f"tune.trials={trials + 2}", "tune.scheduler=none", storage="sqlite://")
        for _ in range(trials):
            run(ledger, 0.5)
        spec, other = ledger.next_trial(), ledger.next_trial()
        for trial in (spec, other):
            ledger.report(trial.number, metrics(1, 0.5))
        seen: Counter[str] = Counter()
        count = partial(_count_statement, seen)
        engine = ledger.study._storage._backend.engine
        sqlalchemy.event.listen(engine, "before_cursor_execute", count)
        ledger.report(spec.number, metrics(2, 0.5))
        return seen

    few, many = statements_of_a_report(1), statements_of_a_report(6)
    assert few == many
    assert few["INSERT"] == 2  # the epoch, and its intermediate value
    assert few["UPDATE"] == 0


def _count_statement(seen: Counter[str], _connection, _cursor, statement: str, *_: object) -> None:
    seen[statement.split()[0]] += 1


def test_ledger_standings_equal_what_the_study_says(open_ledger):
    ledger = open_ledger("tune.trials=5")
    for dice in (0.8, 0.5, 0.9):
        run(ledger, dice)
    failed, running = ledger.next_trial(), ledger.next_trial()
    ledger.report(running.number, metrics(1, 0.95))
    ledger.end(failed.number, "boom")
    assert ledger.standings.counts == {
        "running": 1, "waiting": 0, "complete": 2, "pruned": 1, "failed": 1, "infeasible": 0,
    }  # fmt: skip
    assert ledger.best() == best_row(leaderboard(ledger.study))
    resumed = open_ledger("tune.trials=5")
    assert resumed.standings.counts == ledger.standings.counts
    assert resumed.best() == ledger.best()
    assert resumed.trial_seconds == ledger.trial_seconds == 9 + 1 + 9 + 1


_DEEPER_THAN_WIDER = """
def space(trial):
    return {"model.depth": 2 + trial.number // 2, "model.width": 2 + trial.number % 2}
"""


@pytest.mark.slow
def test_ledger_equal_networks_share_the_latency_that_was_measured_first(open_ledger):
    """Also a level of a deeper network, and after a resume; another width is another network."""
    options = ["tune.trials=3", "tune.scheduler=none", "tune.objectives=[quality,latency]"]
    for number in range(3):
        ledger = open_ledger(*options, source=_DEEPER_THAN_WIDER)
        spec, found = ledger.next_trial(), metrics(1, 0.5, finished=True)
        levels = found["val"]["levels"]
        if spec.config.model.depth == 3:
            levels["3"] = {"dice": 0.4, "latency_s": 0.003}
        for scored in levels.values():
            scored["latency_s"] *= 10**number
        ledger.report(spec.number, found)
        ledger.end(spec.number)
    rows = leaderboard(ledger.study)
    assert {(row.trial, row.level): row.latency_s for row in rows} == pytest.approx(
        {
            (0, 1): 0.001,
            (0, 2): 0.002,
            (1, 1): 0.01,
            (1, 2): 0.02,
            (2, 1): 0.001,
            (2, 2): 0.002,
            (2, 3): 0.3,
        }
    )
    assert {row.trial for row in pareto_rows(ledger.study, rows)} == {0}


def test_ledger_trial_that_cannot_fit_is_never_launched(open_ledger):
    ledger = open_ledger(memory_bytes=1000)
    assert ledger.next_trial() is None
    assert trial_counts(ledger.study)["infeasible"] == 4
    assert "GiB free" in ledger.study.trials[0].user_attrs["cause"]


def test_ledger_depth_too_large_for_the_crop_is_infeasible(open_ledger):
    source = 'def space(trial):\n    return {"model.depth": trial.suggest_int("model.depth", 5, 6)}\n'
    ledger = open_ledger("data.crop=16", "model.depth=auto", source=source)
    assert ledger.next_trial() is None
    assert "needs a crop of at least" in ledger.study.trials[0].user_attrs["cause"]


def test_ledger_target_reached_stops_running_trials_and_launches_no_other(open_ledger):
    ledger = open_ledger("tune.target=0.75")
    run(ledger, 0.5)
    spec = ledger.next_trial()
    assert ledger.report(spec.number, metrics(1, 0.7)) == "continue"
    assert ledger.report(spec.number, metrics(9, 0.8, finished=True)) == "continue"
    ledger.end(spec.number)
    assert ledger.next_trial() is None
    assert "reached tune.target" in ledger.exhausted()


_HOLD_LOCK = """
import sqlite3, sys, time
holder = sqlite3.connect(sys.argv[1], isolation_level=None)
holder.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
"""


@pytest.mark.slow
def test_ledger_storage_locked_longer_than_sqlite_waits_loses_nothing(open_ledger, tmp_path, caplog):
    ledger = open_ledger("tune.scheduler=none")
    spec = ledger.next_trial()
    command = [sys.executable, "-c", _HOLD_LOCK, str(tmp_path / "study.db"), "15"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        ledger.report(spec.number, metrics(1, 0.5))
        assert holder.wait() == 0
    ledger.report(spec.number, metrics(9, 0.6, finished=True))
    ledger.end(spec.number)
    assert [run(ledger, 0.5)[0] for _ in range(3)] == [1, 2, 3]
    assert [trial.state for trial in ledger.study.trials] == [TrialState.COMPLETE] * 4
    assert ledger.study.trials[0].intermediate_values == {1: 0.5, 9: 0.6}
    assert "does not answer; waiting" in caplog.text
    assert "answers again" in caplog.text


@pytest.mark.slow
def test_ledger_patience_ends_the_sweep_and_counts_the_same_after_a_resume(open_ledger):
    options = ("tune.trials=20", "tune.patience=2", "tune.scheduler=none")
    ledger = open_ledger(*options)
    for dice in (0.5, 0.4, 0.6, 0.55):
        run(ledger, dice)
    assert ledger.exhausted() is None
    resumed = open_ledger(*options)
    run(resumed, 0.3)
    assert resumed.next_trial() is None
    assert resumed.exhausted() == "2 trials without a better one reached tune.patience=2"
