"""One training for all depths and dilations on the command line: refused, run, resumed, exported."""

import json
from collections.abc import Callable

import pytest

from fakes import write_dataset
from unetpp.cli.main import run

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


@pytest.fixture
def unetpp(capfd) -> Callable[..., tuple[int, str, str]]:
    """Exit code, last line of output, and errors of a command."""

    def call(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        code = run([*map(str, arguments), "--json"])
        output, errors = capfd.readouterr()
        return code, (output.splitlines() or [""])[-1], errors

    return call


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.timeout(400)
@pytest.mark.parametrize("confirm", [0, pytest.param(1, marks=pytest.mark.nightly)])
def test_tune_one_shot_is_refused_run_resumed_and_exported(tmp_path, unetpp, confirm):
    def result_of(*arguments: object) -> dict:
        code, output, errors = unetpp(*arguments)
        assert code == 0, errors
        return json.loads(output)

    write_dataset(tmp_path / "data", {"train": 12, "val": 4})
    space, sweep = tmp_path / "space.py", tmp_path / "sweep"
    given = [
        f"data.uri={tmp_path / 'data'}", f"out={sweep}", "tune.one_shot=depth+dilation", "tune.trials=1",
        "train.epochs=2", "model.width=4", "data.batch_size=4", "tune.scheduler=none", "train.trackers=[]",
    ]  # fmt: skip

    space.write_text('def space(trial):\n    return {"loss.ce": trial.suggest_float("loss.ce", 0.0, 1.0)}\n')
    code, _, errors = unetpp("tune", space, *given)
    assert code == 2
    assert "needs a space that returns model.dilation" in errors
    assert "Traceback" not in errors

    space.write_text(_SPACE)
    first = result_of("tune", space, *given)
    # Level 1 is the same at every vector; level 2 has three.
    assert sorted((c["level"], c["dilation"]) for c in first["candidates"]) == [
        (1, [1, 1]),
        (2, [1, 1, 1]),
        (2, [1, 1, 2]),
        (2, [1, 1, 4]),
    ]
    assert all(c["latency_s"] > 0 and c["params"].keys() == {"loss.ce"} for c in first["candidates"])

    again = result_of("tune", "--resume", sweep, "tune.trials=2", f"tune.confirm={confirm}")
    assert len(again["candidates"]) == 8
    assert {c["trial"] for c in again["candidates"]} == {0, 1}
    if confirm:
        assert len(again["confirmed"]["candidates"]) == 1
        assert again["best"]["dilation"] == again["confirmed"]["candidates"][0]["dilation"]

    out = tmp_path / "m.safetensors"
    written = result_of("export", sweep, "--candidate", 0, "--out", out)
    assert (written["level"], written["max_abs_diff"]) == (again["candidates"][0]["level"], 0.0)
