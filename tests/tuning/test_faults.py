"""Trials that die in every way: each is recorded with its cause or goes on, and the sweep with the others."""

import os
import resource
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import ray.util
from optuna.trial import TrialState

from fakes import write_dataset
from sweeps import Recorder, start_sweep
from unetpp.core.places import trial_uri
from unetpp.core.rundir import RunDir
from unetpp.tuning.ray.trainable import TrialContext, run_trial
from unetpp.tuning.results.leaderboard import sweep_summary
from unetpp.tuning.study.epochs import epoch_records, trial_seconds
from unetpp.tuning.sweep import run_sweep

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.usefixtures("ray_cluster"),
    pytest.mark.timeout(400),
]

Trainable = Callable[[dict[str, Any], TrialContext], None]
_OOM, _KILLED, _RAISES, _NAN = 1, 2, 3, 4
SPACE = f"""
def space(trial):
    fields = {{"optim.lr": trial.suggest_float("optim.lr", 1e-4, 1e-1, log=True), "train.max_nonfinite": 0}}
    if trial.number == {_OOM}:
        fields |= {{"model.width": 256}}
    if trial.number == {_NAN}:
        fields |= {{"optim.name": "sgd", "optim.lr": 1e30, "train.clip": 0}}
    return fields
"""
_LIMIT_BYTES = 64 * 2**20


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fault-data")
    write_dataset(folder, {"train": 48, "val": 4})
    return folder


@pytest.fixture
def replace_trainable(monkeypatch):
    """Run a function of the test in place of `run_trial`; closures travel to Tune's actors by value."""

    def replace(function: Trainable) -> None:
        monkeypatch.setattr("unetpp.tuning.sweep.run_trial", function)

    return replace


def faulty() -> Trainable:
    def raising(*_: object) -> None:
        raise RuntimeError("the disk is on fire, aws_secret_access_key=abc123")

    def trial(params: dict[str, Any], context: TrialContext) -> None:
        from unetpp.tuning.ray import trainable

        number, run_job = params["number"], trainable.run_job
        if number == _RAISES:
            trainable.run_job = raising
        if number == _KILLED:
            os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does when memory runs out
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        if number == _OOM:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + _LIMIT_BYTES, hard))
        try:
            run_trial(params, context)
        finally:
            trainable.run_job = run_job
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))

    return trial


def counting(folder: Path, trainable: Trainable) -> Trainable:
    """Leaves a file for each attempt at a trial."""

    def trial(params: dict[str, Any], context: TrialContext) -> None:
        tempfile.mkstemp(prefix=f"{params['number']}-", suffix=".start", dir=folder)
        trainable(params, context)

    return trial


def leaving_its_pid(folder: Path) -> Trainable:
    def trial(params: dict[str, Any], context: TrialContext) -> None:
        (folder / f"{params['number']}.pid").write_text(str(os.getpid()))
        run_trial(params, context)

    return trial


def kill_once(folder: Path, number: int, epoch: int) -> Callable[[int, int], None]:
    """Kill the process of a trial when it has reported an epoch, and keep what its run held by then."""

    def act(reported: int, at: int) -> None:
        if (reported, at) == (number, epoch) and not (folder / "before").exists():
            run = RunDir(trial_uri(str(folder / "sweep"), number))
            (folder / "before").write_bytes(run.storage.read("metrics.jsonl"))
            os.kill(int((folder / f"{number}.pid").read_text()), signal.SIGKILL)

    return act


def metrics(folder: Path, number: int) -> list[dict[str, Any]]:
    return RunDir(trial_uri(str(folder / "sweep"), number)).read_metrics()


def test_sweep_with_every_kind_of_failure_records_each_and_finishes_the_others(
    tmp_path, data, replace_trainable, caplog
):
    replace_trainable(counting(tmp_path, faulty()))
    sweep = start_sweep(
        tmp_path, data, "tune.trials=6", "train.epochs=1", "tune.max_failures=1", source=SPACE
    )
    recorder = Recorder()
    ledger = run_sweep(sweep, recorder, concurrent=2)
    assert not ledger.interrupted
    trials = sweep.study.trials
    failed = {trial.number: trial.user_attrs["cause"] for trial in trials if trial.state == TrialState.FAIL}
    assert failed.keys() == {_OOM, _KILLED, _RAISES, _NAN} == set(recorder.failures)
    assert "out of memory: lower data.batch_size" in failed[_OOM]
    assert "its process died" in failed[_KILLED]
    assert failed[_RAISES] == "RuntimeError: the disk is on fire, aws_secret_access_key=[redacted]"
    assert failed[_NAN].startswith("NonFiniteError: 1 steps had a NaN or Inf gradient")
    # What may pass is tried again; what the same values would only meet again is not.
    attempts = {number: len(list(tmp_path.glob(f"{number}-*.start"))) for number in range(6)}
    assert attempts == {0: 1, _OOM: 2, _KILLED: 2, _RAISES: 2, _NAN: 1, 5: 1}
    assert [trial.number for trial in trials if trial.state == TrialState.COMPLETE] == [0, 5]
    assert sweep_summary(sweep.study)["trials"]["failed"] == 4
    assert "trial 3 failed: RuntimeError: the disk is on fire" in caplog.text
    assert "abc123" not in caplog.text


def test_sweep_one_worker_trial_killed_goes_on_from_its_checkpoint(tmp_path, data, replace_trainable):
    replace_trainable(leaving_its_pid(tmp_path))
    sweep = start_sweep(tmp_path, data, "tune.trials=1", "train.epochs=5", "tune.scheduler=none")
    recorder = Recorder(kill_once(tmp_path, number=0, epoch=3))
    run_sweep(sweep, recorder, concurrent=2)
    (killed,) = sweep.study.trials
    assert killed.state == TrialState.COMPLETE
    assert sorted(killed.intermediate_values) == list(range(1, 6))
    (tmp_path / "metrics.jsonl").write_bytes((tmp_path / "before").read_bytes())
    before, after = RunDir(str(tmp_path)).read_metrics(), metrics(tmp_path, 0)
    # Their times as well: none of the epochs whose checkpoint was written was trained again.
    assert after[:3] == before[:3]
    assert [epoch["epoch"] for epoch in after] == list(range(1, 6))
    assert [epoch["step"] for epoch in after] == [12 * number for number in range(1, 6)]
    seconds = trial_seconds(killed, epoch_records(killed))
    assert seconds == pytest.approx(sum(epoch["seconds"] for epoch in after), abs=0.01)


@pytest.mark.nightly
def test_sweep_two_worker_trial_goes_on_after_a_worker_and_after_its_driver_was_killed(
    tmp_path, data, replace_trainable
):
    def trial(params: dict[str, Any], context: TrialContext) -> None:
        from unetpp.tuning.ray import trainable

        (tmp_path / "0.pid").write_text(str(os.getpid()))

        progress = trainable._Listener.progress

        def kill_worker(listener: Any, values: dict[str, Any]) -> None:
            progress(listener, values)
            if values["epoch"] >= 2 and not (tmp_path / "worker").exists():
                (tmp_path / "worker").touch()
                os.kill(values["pid"], signal.SIGKILL)

        trainable._Listener.progress = kill_worker
        run_trial(params, context)

    replace_trainable(trial)
    epochs = 24
    sweep = start_sweep(
        tmp_path, data, "tune.trials=1", f"train.epochs={epochs}", "scale.workers=2", "tune.scheduler=none"
    )
    run_sweep(sweep, Recorder(kill_once(tmp_path, number=0, epoch=12)), concurrent=1)
    assert (tmp_path / "worker").exists(), "the trial ended before its worker could be killed"
    assert [trial.state for trial in sweep.study.trials] == [TrialState.COMPLETE]
    assert sorted(sweep.study.trials[0].intermediate_values) == list(range(1, epochs + 1))
    assert [epoch["epoch"] for epoch in metrics(tmp_path, 0)] == list(range(1, epochs + 1))
    held = [group for group in ray.util.placement_group_table().values() if group["state"] == "CREATED"]
    assert held == []


def test_sweep_trains_a_repeat_of_its_last_trial_that_fails_after_no_other_was_left(
    tmp_path, data, replace_trainable
):
    def first_fails(params: dict[str, Any], context: TrialContext) -> None:
        if params["number"] == 0:
            raise RuntimeError("the disk is on fire")
        run_trial(params, context)

    replace_trainable(first_fails)
    space = 'def space(trial):\n    trial.suggest_float("unused", 0, 1)\n    return {"optim.lr": 0.01}\n'
    sweep = start_sweep(
        tmp_path, data, "tune.trials=2", "train.epochs=1", "tune.max_failures=0", source=space
    )
    ledger = run_sweep(sweep, Recorder(), concurrent=2)
    assert not ledger.interrupted
    assert [trial.state for trial in sweep.study.trials] == [TrialState.FAIL, TrialState.COMPLETE]
