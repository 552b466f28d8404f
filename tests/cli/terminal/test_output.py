import json as json_module
from pathlib import Path

import numpy as np
import pytest

from unetpp.cli.terminal.output import emit, note


def test_emit_json_is_one_strict_object_as_the_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    note("[bold]for people[/]")
    emit(
        {
            "dice": float("nan"),
            "inf": float("inf"),
            "path": Path("a/b"),
            "n": np.int64(3),
            "x": np.float32(0.5),
            "nested": {"1": [np.float64("nan"), (1, 2)]},
            "none": None,
            "ok": True,
        },
        json=True,
    )
    captured = capsys.readouterr()
    assert captured.err == "[bold]for people[/]\n"
    assert captured.out.count("\n") == 1
    assert json_module.loads(captured.out, parse_constant=pytest.fail) == {
        "dice": None,
        "inf": None,
        "path": "a/b",
        "n": 3,
        "x": 0.5,
        "nested": {"1": [None, [1, 2]]},
        "none": None,
        "ok": True,
    }


def test_emit_for_people_writes_a_line_per_entry(capsys: pytest.CaptureFixture[str]) -> None:
    emit({"dice": 0.912345, "splits": {"train": 3, "val": 1}, "problems": [], "run": "runs/[a]"}, json=False)
    assert capsys.readouterr().out == (
        "dice: 0.9123\nsplits: train=3, val=1\nproblems: none\nrun: runs/[a]\n"
    )


def test_emit_for_people_tells_entries_of_lists_apart(capsys: pytest.CaptureFixture[str]) -> None:
    emit(
        {"stats": [{"mean": 1, "std": 2}, {"mean": 3, "std": 4}], "sizes": [[64, 64], [41, 40]]},
        json=False,
    )
    assert capsys.readouterr().out == (
        "stats:\n  mean=1, std=2\n  mean=3, std=4\nsizes: [64, 64], [41, 40]\n"
    )


def test_emit_for_people_indents_entries_that_hold_others(capsys: pytest.CaptureFixture[str]) -> None:
    emit({"metrics": {"dice": 0.5, "levels": {"1": {"dice": 0.25, "iou": 0.125}}}}, json=False)
    assert capsys.readouterr().out == "metrics:\n  dice: 0.5\n  levels:\n    1: dice=0.25, iou=0.125\n"
