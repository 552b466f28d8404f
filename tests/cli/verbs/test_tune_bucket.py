"""A sweep onto object storage, without a database: its driver and machine are lost, two others go on."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from fakes import write_dataset
from unetpp.cli.main import run
from unetpp.core.places import trial_uri
from unetpp.core.rundir import RunDir
from unetpp.core.storage import Storage, open_storage
from unetpp.report.sweep.data import load_sweep_data
from unetpp.tuning.folder import load_sweep

pytestmark = [pytest.mark.ray, pytest.mark.s3, pytest.mark.slow, pytest.mark.timeout(600)]

_DEADLINE_S = 300
_TRIALS, _EPOCHS, _STEPS = 4, 8, 50
_SPACE = 'def space(trial):\n    return {"optim.lr": trial.suggest_float("optim.lr", 1e-4, 1e-1, log=True)}\n'
_TINY = ("model.depth=1", "model.width=2", "data.batch_size=2", "tune.scheduler=none", "train.trackers=[]")


class Machine:
    """A folder with the space and a cache of its own, from which commands are given."""

    def __init__(self, folder: Path, data: str, sweep: str) -> None:
        self.folder, self.sweep = folder, sweep
        folder.mkdir()
        # Not below the folder: Ray's sockets go there, and their paths have at most 107 characters.
        self.cache = tempfile.mkdtemp(prefix="m")
        (folder / "space.py").write_text(_SPACE)
        self._arguments = [
            "space.py", f"data.uri={data}", f"out={sweep}", f"tune.trials={_TRIALS}",
            f"train.epochs={_EPOCHS}", *_TINY,
        ]  # fmt: skip

    def tune(self, *more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "unetpp", "tune", *self._arguments, *more, "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=os.environ | {"TMPDIR": self.cache},
        )


def trials(sweep: str) -> list[optuna.trial.FrozenTrial]:
    return load_sweep(sweep)[1].trials if open_storage(sweep).exists("sweep.yaml") else []


def wait_for_epochs(process: subprocess.Popen[str], sweep: str, count: int) -> None:
    """Until so many epochs are published."""
    deadline_s = time.monotonic() + _DEADLINE_S
    while time.monotonic() < deadline_s and process.poll() is None:
        if sum(len(trial.intermediate_values) for trial in trials(sweep)) >= count:
            return
        try:
            process.wait(0.3)
        except subprocess.TimeoutExpired:
            continue
    pytest.fail(f"{count} epochs were not published: {process.communicate()}")


def epochs_in_checkpoints(run: RunDir) -> list[dict]:
    """An epoch's line is written before its checkpoint: the last may be trained again."""
    found = run.checkpoints.latest()
    return run.read_metrics()[: found[0] // _STEPS] if found else []


def owners(storage: Storage) -> list[dict]:
    return [json.loads(storage.read(path)) for path in storage.list("owners/")]


@pytest.fixture
def bucket(s3_env) -> str:
    uri: str = s3_env.new_bucket()
    write_dataset(f"{uri}/data", {"train": 2 * _STEPS, "val": 8}, rows_per_shard=_STEPS)
    return uri


def test_tune_onto_a_bucket_loses_its_machine_and_goes_on_elsewhere_for_one_of_two(tmp_path, bucket, capfd):
    sweep = f"{bucket}/sweeps/first"
    here = Machine(tmp_path / "here", f"{bucket}/data", sweep)
    driver = here.tune()
    wait_for_epochs(driver, sweep, 2 * _EPOCHS + 1)  # of two at a time, so that one trial has ended

    driver.send_signal(signal.SIGSTOP)  # it lives, however long the other takes to start
    code = run(["tune", f"{here.folder}/space.py", f"out={sweep}", "--resume"])
    output, errors = capfd.readouterr()
    assert (code, output) == (2, "")
    assert re.search(rf"owned by process {driver.pid} of .* since 20\d\d-.* last heartbeat 20\d\d-", errors)

    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    for lost in (here.folder, here.cache):
        shutil.rmtree(lost)
    before = trials(sweep)
    assert TrialState.COMPLETE in {trial.state for trial in before}
    kept = [epochs_in_checkpoints(RunDir(trial_uri(sweep, trial.number))) for trial in before]

    both = [Machine(tmp_path / name, f"{bucket}/data", sweep).tune("--resume") for name in ("one", "two")]
    answers = [process.communicate(timeout=_DEADLINE_S) for process in both]
    assert sorted(process.returncode for process in both) == [0, 2], answers
    winner = next(index for index, process in enumerate(both) if process.returncode == 0)
    assert f"owned by process {both[winner].pid}" in answers[1 - winner][1]
    result = json.loads(answers[winner][0].splitlines()[-1])
    assert result["trials"] == {"complete": _TRIALS, "pruned": 0, "failed": 0, "infeasible": 0}

    after = trials(sweep)
    assert [trial.state for trial in after] == [TrialState.COMPLETE] * _TRIALS
    assert all(sorted(trial.intermediate_values) == list(range(1, _EPOCHS + 1)) for trial in after)
    for old, new, old_run in zip(before, after, kept, strict=False):
        assert old.params == new.params
        # Epochs whose checkpoint was written are not trained again, nor is a trial that has ended.
        assert RunDir(trial_uri(sweep, old.number)).read_metrics()[: len(old_run)] == old_run
        assert old.state != TrialState.COMPLETE or old.datetime_complete == new.datetime_complete
    assert Counter(record["released"] for record in owners(open_storage(sweep))) == {False: 1, True: 1}
    assert load_sweep_data(sweep).state == "finished"

    # What is published is a study that Optuna itself opens, and no driver leaves its own behind.
    open_storage(sweep).get("study.db", tmp_path / "study.db")
    study = optuna.load_study(study_name="first", storage=f"sqlite:///{tmp_path / 'study.db'}")
    assert len(study.trials) == _TRIALS
