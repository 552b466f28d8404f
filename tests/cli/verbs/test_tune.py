"""A sweep from the command line: stopped, resumed, refused; at night also killed and on several nodes."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from cluster_nodes import ray_nodes
from fakes import write_dataset
from unetpp.cli.main import run
from unetpp.core.places import trial_uri
from unetpp.core.rundir import RunDir

_DEADLINE_S = 300
_SPACE = 'def space(trial):\n    return {"optim.lr": trial.suggest_float("optim.lr", 1e-4, 1e-1, log=True)}\n'
_TINY = ("model.depth=2", "model.width=4", "data.batch_size=2", "tune.scheduler=none")


def start(*arguments: str, log: Path | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "unetpp", "tune", *arguments, "--json"]
    errors = None if log is None else log.open("w")
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True)


def finish(*arguments: str) -> tuple[int, str, str]:
    """Exit code, output and errors of a command that ends by itself."""
    command = [sys.executable, "-m", "unetpp", "tune", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_DEADLINE_S, check=False)
    return done.returncode, done.stdout, done.stderr


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


def runs(sweep: Path) -> list[list[dict]]:
    """The epochs of every trial's run, their times included."""
    return [RunDir(trial_uri(str(sweep), number)).read_metrics() for number in range(len(load(sweep)))]


@pytest.mark.usefixtures("keyboard")
@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(700)
@pytest.mark.parametrize("killed", [False, pytest.param(True, marks=pytest.mark.nightly)])
def test_tune_interrupted_then_resumed_runs_every_trial_once(tmp_path, killed):
    write_dataset(tmp_path / "data", {"train": 60, "val": 8}, rows_per_shard=30)
    (tmp_path / "space.py").write_text(_SPACE)
    sweep, log = tmp_path / "my sweep", tmp_path / "log"
    arguments = [
        str(tmp_path / "space.py"), f"data.uri={tmp_path / 'data'}", f"out={sweep}", "tune.trials=4",
        "train.epochs=8", *_TINY,
    ]  # fmt: skip

    process = start(*arguments, log=log)
    wait_for_reports(process, sweep, 17)  # of two at a time, so that one at least has finished
    if killed:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        before, kept = load(sweep), runs(sweep)
        process = start(*arguments, "--resume", log=log)
        wait_for_reports(process, sweep, sum(len(trial.intermediate_values) for trial in before) + 3)
    os.killpg(process.pid, signal.SIGINT)
    output = process.communicate(timeout=_DEADLINE_S)[0]
    assert process.returncode == 130
    assert json.loads(output.splitlines()[-1])["finished"] is False
    if not killed:
        before, kept = load(sweep), runs(sweep)
    assert TrialState.COMPLETE in {trial.state for trial in before}

    # What it says how to go on is a command that goes on.
    (hint,) = re.findall(r"Continue: unetpp tune (.*)", log.read_text())
    process = start(*shlex.split(hint))
    output = process.communicate(timeout=_DEADLINE_S)[0]
    assert process.returncode == 0
    assert len(output.splitlines()) == 1, "Ray prints nothing between"
    result = json.loads(output)
    assert result["trials"] == {"complete": 4, "pruned": 0, "failed": 0, "infeasible": 0}
    after = load(sweep)
    assert [trial.state for trial in after] == [TrialState.COMPLETE] * 4
    assert all(sorted(trial.intermediate_values) == list(range(1, 9)) for trial in after)
    for old, new in zip(before, after, strict=False):
        assert old.params == new.params
        assert old.intermediate_values.items() <= new.intermediate_values.items()
        assert old.state != TrialState.COMPLETE or (old.values, old.user_attrs) == (
            new.values,
            new.user_attrs,
        )
    # Nothing that was reported, and so is in a checkpoint, was trained again.
    for old, old_run, new_run in zip(before, kept, runs(sweep), strict=False):
        reported = len(old.intermediate_values)
        assert new_run[:reported] == old_run[:reported]
    best = max(after, key=lambda trial: max(trial.intermediate_values.values()))
    assert result["best"]["trial"] == best.number


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ('def space(trial):\n    return {"model.dept": 3}\n', r"my space\.py: unknown key 'model\.dept'"),
        (
            'def space(trial):\n    return {"model.depth": 9}\n',
            r"my space\.py: model\.depth=9 must be at",
        ),
        ("def space(trial):\n    raise RuntimeError('no')\n", r"my space\.py:2: .* RuntimeError: no"),
        ("def space(trial\n", r"my space\.py:1: the space file must be valid Python"),
    ],
)
def test_tune_mistake_in_the_space_exits_2_before_anything_starts(tmp_path, monkeypatch, capfd, source, said):
    monkeypatch.setattr("ray.init", lambda *_, **__: pytest.fail("Ray was started"))
    write_dataset(tmp_path / "data", {"train": 8, "val": 4})
    (tmp_path / "my space.py").write_text(source)
    arguments = [f"data.uri={tmp_path / 'data'}", f"out={tmp_path / 'sweep'}", "train.epochs=1"]
    code = run(["tune", str(tmp_path / "my space.py"), *arguments])
    output, errors = capfd.readouterr()
    assert (code, output) == (2, "")
    assert re.search(said, errors)
    assert "Traceback" not in errors
    assert not (tmp_path / "sweep" / "sweep.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--resume", "absent"], "no sweep at .*absent"),
        (["--resume", "absent", "other.yaml"], "leave other.yaml out"),
        (["absent"], "no search space at .*absent; give"),
    ],
)
def test_tune_without_what_it_needs_exits_2(tmp_path, monkeypatch, capfd, arguments, said):
    monkeypatch.chdir(tmp_path)
    code = run(["tune", *arguments])
    output, errors = capfd.readouterr()
    assert (code, output) == (2, "")
    assert re.search(said, errors)


@pytest.mark.ray
@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_tune_on_a_cluster_counts_places_on_nodes_and_refuses_what_no_node_holds(tmp_path):
    write_dataset(tmp_path / "data", {"train": 16, "val": 4})
    (tmp_path / "space.py").write_text(_SPACE)
    arguments = [
        str(tmp_path / "space.py"), f"data.uri={tmp_path / 'data'}", "train.epochs=2", "tune.trials=2",
        *_TINY, "data.batch_size=4", "scale.workers=2", "scale.gpu=false",
    ]  # fmt: skip
    with ray_nodes(3, 3, 3) as address:
        here = f"scale.address={address}"
        code, output, errors = finish(*arguments, here, f"out={tmp_path / 'no'}", "scale.cpus_per_worker=4")
        assert (code, output) == (2, "")
        assert "training needs places for 2 worker(s) of 4 CPU" in errors
        assert "the cluster has 0, on 3 x 3 CPU" in errors
        assert not (tmp_path / "no" / "sweep.yaml").exists()
        # Nine CPUs in all hold two trials of 4.01, three nodes only one and a half.
        sweep = tmp_path / "yes"
        code, output, errors = finish(*arguments, here, f"out={sweep}", "scale.cpus_per_worker=2", "--json")
        assert code == 0, errors
        assert json.loads(output)["trials"]["complete"] == 2


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.timeout(400)
def test_tune_without_a_single_result_exits_1_with_the_causes_and_counts(tmp_path, capfd):
    write_dataset(tmp_path / "data", {"train": 8, "val": 4})
    (tmp_path / "space.py").write_text(
        'def space(trial):\n    return {"optim.lr": trial.suggest_float("optim.lr", 1e29, 1e30)}\n'
    )
    fields = ["optim.name=sgd", "train.clip=0", "train.epochs=2", "train.max_nonfinite=0", "tune.trials=2"]
    places = [f"data.uri={tmp_path / 'data'}", f"out={tmp_path / 'sweep'}"]
    arguments = [
        "tune",
        str(tmp_path / "space.py"),
        *places,
        *_TINY,
        *fields,
        "tune.max_failures=0",
        "--json",
    ]
    code = run(arguments)
    output, errors = capfd.readouterr()
    assert code == 1, errors
    result = json.loads(output)
    assert (result["best"], result["trials"]["failed"]) == (None, 2)
    assert re.search(r"error: no trial of the sweep has a result.*\n +2 x NonFiniteError: 1 steps", errors)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.timeout(400)
def test_tune_confirm_decides_what_is_called_best_and_survives(tmp_path, capfd):
    write_dataset(tmp_path / "data", {"train": 8, "val": 4})
    (tmp_path / "space.py").write_text(_SPACE)
    sweep = tmp_path / "my sweep"
    fields = ["train.epochs=1", "tune.trials=2", "train.trackers=[]"]
    places = [f"data.uri={tmp_path / 'data'}", f"out={sweep}"]
    code = run(["tune", str(tmp_path / "space.py"), *places, *_TINY, *fields, "--confirm", "1", "--json"])
    output, errors = capfd.readouterr()
    assert code == 0, errors
    result = json.loads(output)
    (winner,) = result["confirmed"]["candidates"]
    assert winner["seeds"] == [1, 2, 3]
    assert (result["best"]["trial"], result["best"]["level"]) == (winner["trial"], winner["level"])
    best = sweep / "confirm" / f"{winner['trial']:04d}-seed1"
    assert f"evaluate: unetpp evaluate '{best}' --level {winner['level']}" in errors
    code = run(["tune", str(sweep), "--resume", "--confirm", "1", "--json"])
    output, errors = capfd.readouterr()
    assert code == 0, errors
    assert json.loads(output)["confirmed"] == result["confirmed"]
    assert "training" not in errors.replace("training and", "")
    assert run(["report", str(sweep)]) == 0
    assert "<h2>Confirmed</h2>" in (sweep / "report.html").read_text()
