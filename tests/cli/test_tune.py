"""A sweep from the command line: killed, interrupted and resumed, no trial lost or repeated."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from fakes import write_dataset

_DEADLINE_S = 150
_SPACE = 'def space(trial):\n    return {"optim.lr": trial.suggest_float("optim.lr", 1e-4, 1e-1, log=True)}\n'


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "unetpp", "tune", *arguments, "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


def wait_for_reports(
    process: subprocess.Popen[str], sweep: Path, count: int
) -> list[optuna.trial.FrozenTrial]:
    """Until trials have reported that many epochs in all."""
    deadline_s = time.monotonic() + _DEADLINE_S
    while time.monotonic() < deadline_s and process.poll() is None:
        if (sweep / "study.db").exists():
            trials = load(sweep)
            if sum(len(trial.intermediate_values) for trial in trials) >= count:
                return trials
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            continue
    pytest.fail(f"{count} epochs were not reported")


def load(sweep: Path) -> list[optuna.trial.FrozenTrial]:
    try:
        return optuna.load_study(study_name=sweep.name, storage=f"sqlite:///{sweep}/study.db").trials
    except KeyError:
        return []


@pytest.mark.usefixtures("keyboard")
@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(500)
def test_tune_killed_then_interrupted_then_resumed_runs_every_trial_once(tmp_path):
    write_dataset(tmp_path / "data", {"train": 200, "val": 8}, rows_per_shard=50)
    (tmp_path / "space.py").write_text(_SPACE)
    sweep = tmp_path / "sweep"
    arguments = [
        str(tmp_path / "space.py"), f"data.uri={tmp_path / 'data'}", f"out={sweep}", "tune.trials=4",
        "train.epochs=8", "model.depth=2", "model.width=4", "data.batch_size=2", "tune.scheduler=none",
    ]  # fmt: skip

    process = start(*arguments)
    before = wait_for_reports(process, sweep, 3)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()

    process = start(*arguments, "--resume")
    wait_for_reports(process, sweep, sum(len(trial.intermediate_values) for trial in before) + 3)
    os.killpg(process.pid, signal.SIGINT)
    output = process.communicate(timeout=_DEADLINE_S)[0]
    assert process.returncode == 130
    assert json.loads(output.splitlines()[-1])["finished"] is False

    process = start(*arguments, "--resume")
    output = process.communicate(timeout=_DEADLINE_S)[0]
    assert process.returncode == 0
    result = json.loads(output.splitlines()[-1])
    assert result["trials"] == {"complete": 4, "pruned": 0, "failed": 0, "infeasible": 0}
    after = load(sweep)
    assert [trial.state for trial in after] == [TrialState.COMPLETE] * 4
    assert all(sorted(trial.intermediate_values) == list(range(1, 9)) for trial in after)
    for old, new in zip(before, after, strict=False):
        assert old.params == new.params
        assert old.intermediate_values.items() <= new.intermediate_values.items()
