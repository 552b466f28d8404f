"""A population on the command line: refused, run, killed with -9, resumed, reported."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fakes import write_dataset

_DEADLINE_S = 400
_SPACE = 'def space(trial):\n    return {"loss.ce": trial.suggest_float("loss.ce", 0.1, 2.0)}\n'
_DEPTH = 'def space(trial):\n    return {"model.depth": trial.suggest_int("model.depth", 1, 2)}\n'


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "unetpp", *map(str, arguments)]


def unetpp(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=_DEADLINE_S, check=False
    )


def wait_for_epoch(run: Path, driver: subprocess.Popen[bytes]) -> None:
    """Until a trial has ended an epoch."""
    deadline_s = time.monotonic() + _DEADLINE_S
    while not (run / "metrics.jsonl").exists():
        assert driver.poll() is None
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_tune_population_is_refused_killed_resumed_and_reported(tmp_path):
    write_dataset(tmp_path / "data", {"train": 12, "val": 4})
    space, sweep = tmp_path / "space.py", tmp_path / "sweep"
    given = [
        f"data.uri={tmp_path / 'data'}", f"out={sweep}", "tune.scheduler=pbt", "tune.sampler=random",
        "tune.trials=3", "tune.grace_epochs=1", "tune.reduction_factor=2", "tune.max_concurrent=1",
        "train.epochs=3", "model.depth=2", "model.width=4", "data.batch_size=4", "train.trackers=[]",
    ]  # fmt: skip

    space.write_text(_DEPTH)
    refused = unetpp("tune", space, *given)
    assert refused.returncode == 2
    assert "this one searches model.depth" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not sweep.exists() or not any(sweep.iterdir())

    space.write_text(_SPACE)
    with subprocess.Popen(command("tune", space, *given), start_new_session=True) as driver:
        wait_for_epoch(sweep / "trials" / "0001", driver)
        os.killpg(driver.pid, signal.SIGKILL)
    done = unetpp("tune", "--resume", sweep, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["trials"]["complete"] == 3
    assert result["exploits"]
    for found in result["exploits"]:
        assert found["donor"] != found["trial"]
        assert found["epoch"] in (1, 2)
        assert found["before"].keys() == found["after"].keys() >= {"dice"}
        takeover = json.loads((sweep / "trials" / f"{found['trial']:04d}" / "takeover.json").read_text())
        assert takeover["done"]

    assert unetpp("report", sweep).returncode == 0
    page = (sweep / "report.html").read_text()
    assert "<h2>Population</h2>" in page
    assert page.count("with the weights of trial") >= len(result["exploits"])
