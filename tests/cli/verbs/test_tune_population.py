"""A population on the command line: refused, run, reported; at night also killed with -9 and resumed."""

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

_DEADLINE_S = 300
_SPACE = 'def space(trial):\n    return {"loss.ce": trial.suggest_float("loss.ce", 0.1, 2.0)}\n'
_DEPTH = 'def space(trial):\n    return {"model.depth": trial.suggest_int("model.depth", 1, 2)}\n'


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "unetpp", *map(str, arguments)]


def wait_for_epoch(trial: Path, driver: subprocess.Popen[bytes]) -> None:
    """Until a trial has ended an epoch."""
    deadline_s = time.monotonic() + _DEADLINE_S
    while not (trial / "metrics.jsonl").exists():
        assert driver.poll() is None
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.timeout(400)
@pytest.mark.parametrize("killed", [False, pytest.param(True, marks=pytest.mark.nightly)])
def test_tune_population_is_refused_run_and_reported(tmp_path, capfd, killed):
    write_dataset(tmp_path / "data", {"train": 12, "val": 4})
    space, sweep = tmp_path / "space.py", tmp_path / "sweep"
    given = [
        f"data.uri={tmp_path / 'data'}", f"out={sweep}", "tune.scheduler=pbt", "tune.sampler=random",
        "tune.trials=3", "tune.grace_epochs=1", "tune.reduction_factor=2", "tune.max_concurrent=1",
        "train.epochs=3", "model.depth=2", "model.width=4", "data.batch_size=4", "train.trackers=[]",
    ]  # fmt: skip

    space.write_text(_DEPTH)
    assert run(["tune", str(space), *given]) == 2
    errors = capfd.readouterr().err
    assert "this one searches model.depth" in errors
    assert "Traceback" not in errors
    assert not sweep.exists() or not any(sweep.iterdir())

    space.write_text(_SPACE)
    if killed:
        with subprocess.Popen(command("tune", space, *given), start_new_session=True) as driver:
            wait_for_epoch(sweep / "trials" / "0001", driver)
            os.killpg(driver.pid, signal.SIGKILL)
    capfd.readouterr()
    code = run(["tune", *(["--resume", str(sweep)] if killed else [str(space), *given]), "--json"])
    output, errors = capfd.readouterr()
    assert code == 0, errors
    result = json.loads(output.splitlines()[-1])
    assert result["trials"]["complete"] == 3
    assert result["exploits"]
    for found in result["exploits"]:
        assert found["donor"] != found["trial"]
        assert found["epoch"] in (1, 2)
        assert found["before"].keys() == found["after"].keys() >= {"dice"}
        takeover = json.loads((sweep / "trials" / f"{found['trial']:04d}" / "takeover.json").read_text())
        assert takeover["done"]

    assert run(["report", str(sweep)]) == 0
    page = (sweep / "report.html").read_text()
    assert "<h2>Population</h2>" in page
    assert page.count("with the weights of trial") >= len(result["exploits"])
