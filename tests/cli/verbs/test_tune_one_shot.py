"""One training for all depths and dilations on the command line: refused, run, resumed, confirmed."""

import json
import subprocess
import sys

import pytest

from fakes import write_dataset

_DEADLINE_S = 400
_SPACE = """
def space(trial):
    depth = trial.suggest_int("model.depth", 1, 2)
    dilation = trial.suggest_categorical(f"model.dilation.{depth}", [1, 2, 4])
    return {
        "model.depth": depth,
        "model.dilation": [1] * depth + [dilation],
        "loss.ce": trial.suggest_float("loss.ce", 0.0, 1.0),
    }
"""


def unetpp(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "unetpp", *map(str, arguments), "--json"]
    return subprocess.run(command, capture_output=True, text=True, timeout=_DEADLINE_S, check=False)


def result_of(done: subprocess.CompletedProcess[str]) -> dict:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_tune_one_shot_is_refused_run_resumed_confirmed_and_exported(tmp_path):
    write_dataset(tmp_path / "data", {"train": 12, "val": 4})
    space, sweep = tmp_path / "space.py", tmp_path / "sweep"
    given = [
        f"data.uri={tmp_path / 'data'}", f"out={sweep}", "tune.one_shot=depth+dilation", "tune.trials=1",
        "train.epochs=2", "model.width=4", "data.batch_size=4", "tune.scheduler=none", "train.trackers=[]",
    ]  # fmt: skip

    space.write_text('def space(trial):\n    return {"loss.ce": trial.suggest_float("loss.ce", 0.0, 1.0)}\n')
    refused = unetpp("tune", space, *given)
    assert refused.returncode == 2
    assert "needs a space that returns model.dilation" in refused.stderr
    assert "Traceback" not in refused.stderr

    space.write_text(_SPACE)
    first = result_of(unetpp("tune", space, *given))
    # Level 1 is the same at every vector; level 2 has three.
    assert sorted((c["level"], c["dilation"]) for c in first["candidates"]) == [
        (1, [1, 1]),
        (2, [1, 1, 1]),
        (2, [1, 1, 2]),
        (2, [1, 1, 4]),
    ]
    assert all(c["latency_s"] > 0 and c["params"].keys() == {"loss.ce"} for c in first["candidates"])

    again = result_of(unetpp("tune", "--resume", sweep, "tune.trials=2", "tune.confirm=1"))
    assert len(again["candidates"]) == 8
    assert {c["trial"] for c in again["candidates"]} == {0, 1}
    assert len(again["confirmed"]["candidates"]) == 1
    assert again["best"]["dilation"] == again["confirmed"]["candidates"][0]["dilation"]

    out = tmp_path / "m.safetensors"
    written = result_of(unetpp("export", sweep, "--candidate", 0, "--out", out))
    assert (written["level"], written["max_abs_diff"]) == (again["candidates"][0]["level"], 0.0)
