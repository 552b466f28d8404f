"""Training from the command line: stopped, killed and resumed as people do it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fakes import write_dataset
from unetpp.cli.main import run
from unetpp.core.rundir import RunDir
from unetpp.data.synthetic import make_cells

_DEADLINE_S = 300


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cli-train")
    write_dataset(folder, {"train": 200, "val": 8}, rows_per_shard=50)
    return folder


def start(*arguments: str) -> subprocess.Popen[str]:
    """The command in a process group of its own, as a shell starts it."""
    command = [sys.executable, "-m", "unetpp", "train", *arguments, "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


def wait_for_epoch(process: subprocess.Popen[str], folder: Path, epoch: int) -> None:
    deadline_s = time.monotonic() + _DEADLINE_S
    while time.monotonic() < deadline_s and process.poll() is None:
        if len(RunDir(str(folder)).read_metrics()) >= epoch:
            return
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
    pytest.fail(f"epoch {epoch} was not reached")


@pytest.mark.usefixtures("keyboard")
@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_train_interrupted_then_killed_then_resumed_finishes_every_epoch(data, tmp_path, capsys):
    out = tmp_path / "run"
    fields = ("model.depth=2", "model.width=4", "train.epochs=8", "data.batch_size=2")
    process = start(f"data.uri={data}", f"out={out}", *fields)
    wait_for_epoch(process, out, 1)
    os.killpg(process.pid, signal.SIGINT)
    result = json.loads(process.communicate(timeout=_DEADLINE_S)[0].splitlines()[-1])
    assert process.returncode == 130
    assert result["finished"] is False

    process = start(f"out={out}", "--resume")
    wait_for_epoch(process, out, result["epochs"] + 1)
    process.send_signal(signal.SIGSTOP)  # it lives, however long the next command takes
    assert run(["train", f"out={out}", "--resume"]) == 2
    assert f"owned by process {process.pid} of " in capsys.readouterr().err
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()

    both = [start(f"out={out}", "--resume") for _ in range(2)]
    outputs = [process.communicate(timeout=_DEADLINE_S)[0] for process in both]
    assert sorted(process.returncode for process in both) == [0, 2]
    output = outputs[0] or outputs[1]
    result = json.loads(output.splitlines()[-1])
    assert (result["run"], result["epochs"], result["finished"]) == (str(out), 8, True)
    assert set(result["metrics"]["levels"]) == {"1", "2"}
    assert [epoch["epoch"] for epoch in RunDir(str(out)).read_metrics()] == list(range(1, 9))


@pytest.mark.ray
@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_train_folds_killed_then_resumed_trains_finished_folds_no_more(tmp_path):
    out = tmp_path / "folds"
    write_dataset(tmp_path / "data", {"train": 52, "val": 8}, rows_per_shard=26)
    fields = ("model.depth=1", "model.width=4", "train.epochs=3", "data.batch_size=4", "train.folds=2")
    process = start(f"data.uri={tmp_path / 'data'}", f"out={out}", *fields)
    wait_for_epoch(process, out / "fold-1", 1)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    finished = (out / "fold-0" / "result.json").stat().st_mtime_ns

    process = start(f"out={out}", "--resume")
    result = json.loads(process.communicate(timeout=_DEADLINE_S)[0].splitlines()[-1])
    assert (process.returncode, result["finished"], result["folds"]) == (0, True, 2)
    assert (out / "fold-0" / "result.json").stat().st_mtime_ns == finished
    assert [epoch["epoch"] for epoch in RunDir(str(out / "fold-1")).read_metrics()] == [1, 2, 3]
    scores = json.loads((out / "out_of_fold.json").read_text())
    assert (scores["rows"], scores["dice"]) == (60, result["metrics"]["dice"])


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.timeout(400)
def test_train_resumed_for_longer_with_other_workers_keeps_its_dataset_version(tmp_path, capsys):
    """From 2 workers to 1, after the dataset was packed anew."""
    data, out = tmp_path / "data", tmp_path / "run"
    make_cells(tmp_path / "raw", 30, 32, seed=1)
    pack = ["data", "pack", "--workers", "0", "--out", str(data), "--json"]
    folders = [f"--{kind}={tmp_path / 'raw' / kind}" for kind in ("images", "masks")]
    assert run([*pack, *folders]) == 0
    fields = ["model.depth=2", "model.width=4", "data.batch_size=4", "train.epochs=1", "scale.workers=2"]
    assert run(["train", f"data.uri={data}", f"out={out}", *fields]) == 0
    make_cells(tmp_path / "more", 40, 32, seed=2)
    for file in (tmp_path / "more").glob("*/*"):
        file.rename(tmp_path / "raw" / file.parent.name / f"more-{file.name}")
    assert run([*pack, *folders, "--overwrite"]) == 0
    capsys.readouterr()
    assert run(["train", f"out={out}", "--resume", "train.epochs=2", "scale.workers=1", "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["epochs"], result["finished"]) == (2, True)
    trained = [(epoch["workers"], epoch["images"]) for epoch in RunDir(str(out)).read_metrics()]
    assert trained == [(2, 24), (1, 24)]
    capsys.readouterr()
    for given, rows in (([], 3), ([f"data.uri={data}"], 7)):
        assert run(["evaluate", str(out), *given, "--json"]) == 0
        result = json.loads(capsys.readouterr().out.splitlines()[-1])
        # Images stay in their split when more are packed, so that none of these was trained on.
        assert (result["rows"], result["overlap"]) == (rows, 0)
    assert run(["train", f"out={out}", "--resume", "train.epochs=1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["epochs"] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train.epoch=3"], "unknown key 'train.epoch'; did you mean train.epochs?"),
        (
            ["scale.workers=2", "data.batch_size=3"],
            "data.batch_size=3 must be divisible by scale.workers=2; use 4",
        ),
        (["model.depth=6", "data.crop=16"], "model.depth=6 needs a crop of at least 64 px; data.crop=16"),
        (["data.uri=/nowhere/at/all"], "/nowhere/at/all"),
        (["data.uri=s3://key:secret@bucket/data"], "credentials"),
        (["nonsense"], "nonsense"),
    ],
)
def test_train_mistake_exits_2_with_rule_value_and_fix(data, tmp_path, capsys, arguments, message):
    out = tmp_path / "run"
    given = [] if arguments[0].startswith("data.uri") else [f"data.uri={data}"]
    overrides = [*arguments, *given] if arguments == ["nonsense"] else [*given, *arguments]
    assert run(["train", *overrides, f"out={out}"]) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert "Traceback" not in errors
    assert not (out / "config.yaml").exists()


def test_train_over_an_existing_run_is_refused(data, tmp_path, capsys):
    out = tmp_path / "run"
    out.mkdir()
    (out / "config.yaml").write_text("{}")
    assert run(["train", f"data.uri={data}", f"out={out}"]) == 2
    assert "--resume" in capsys.readouterr().err
