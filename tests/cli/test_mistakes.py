"""Mistakes are told before those libraries are imported that only a training needs: they take long."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fakes import write_dataset
from untrained_run import write_untrained_run

_HEAVY = ("torch", "ray", "pandas", "scipy", "matplotlib")
_COMMANDS = """
import json, sys
from unetpp.cli.main import run
for arguments in json.loads(sys.argv[1]):
    code = run(arguments)
    print(json.dumps([code, [name for name in json.loads(sys.argv[2]) if name in sys.modules]]))
"""
_SPACES = {
    "unknown": 'def space(trial):\n    return {"model.dept": 3}\n',
    "refused": 'def space(trial):\n    return {"model.depth": 9}\n',
    "broken": "def space(trial\n",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mistakes")
    write_dataset(folder / "data", {"train": 8, "val": 4})
    write_untrained_run(folder)
    for name, text in _SPACES.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def test_mistakes_are_told_without_torch_and_ray(folder: Path) -> None:
    mistakes = [
        ["train"],
        ["train", "data.uri=absent"],
        ["train", "data.uri=data", "model.dept=3"],
        ["train", "data.uri=data", "data.batch_size=3", "scale.workers=2"],
        ["train", "data.uri=data", "out=run"],
        ["train", "out=absent", "--resume"],
        *(["tune", f"{name}.py", "data.uri=data", "out=sweep"] for name in _SPACES),
        ["tune", "absent.py", "data.uri=data", "out=sweep"],
        ["tune", "--resume", "absent"],
    ]
    done = subprocess.run(
        [sys.executable, "-c", _COMMANDS, json.dumps(mistakes), json.dumps(_HEAVY)],
        cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    told = {
        " ".join(arguments): json.loads(line)
        for arguments, line in zip(mistakes, done.stdout.splitlines(), strict=True)
    }
    assert told == {" ".join(arguments): [2, []] for arguments in mistakes}, done.stderr
