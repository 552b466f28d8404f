"""evaluate, predict, export, report and compare as a user types them, on a run made by the real writers."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unetpp.cli.main import run as unetpp
from untrained_run import write_untrained_run

Last = Callable[..., dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path) -> str:
    return write_untrained_run(tmp_path)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """An RGB image, 31 wide and 20 high."""
    path = tmp_path / "photos" / "a.png"
    path.parent.mkdir()
    Image.fromarray(np.full((20, 31, 3), 90, dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def last_line(capsys: pytest.CaptureFixture[str]) -> Last:
    """Run a command that must succeed; its last line on stdout as JSON."""

    def call(*arguments: str) -> dict[str, Any]:
        assert unetpp([*arguments, "--json"]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
        return found

    return call


def test_evaluate_json_has_the_promised_keys(run, last_line):
    result = last_line("evaluate", run, "--split", "val")
    promised = {
        *("split", "rows", "level", "dice", "iou", "dice_per_image", "iou_per_image"),
        *("precision", "recall", "classes", "levels"),
    }
    assert promised <= set(result)
    assert (result["split"], result["rows"], result["level"]) == ("val", 4, 2)


def test_evaluate_for_people_shows_levels_and_classes(run, capsys):
    assert unetpp(["evaluate", run]) == 0
    shown = capsys.readouterr()
    assert "test: 4 images at level 2" in shown.out
    assert "cell" in shown.out
    assert f"unetpp report {run}" in shown.err


def test_evaluate_on_other_dataset_and_unknown_override(run, last_line, tmp_path, capsys):
    write_untrained_run(tmp_path, name="other", sizes=[(16, 16)])
    assert last_line("evaluate", run, f"data.uri={tmp_path}/other-data")["rows"] == 1
    assert unetpp(["evaluate", run, "train.epochs=3"]) == 2
    assert "train.epochs=3" in capsys.readouterr().err


def test_predict_json_counts_and_writes_masks(run, photo, last_line, tmp_path):
    result = last_line("predict", run, str(photo.parent), "--out", str(tmp_path / "masks"), "--overlay")
    assert (result["images"], result["predicted"], result["failed"]) == (1, 1, [])
    assert Image.open(tmp_path / "masks/a.png").size == (31, 20)
    assert (tmp_path / "masks/overlays/a.png").exists()


@pytest.mark.slow
def test_predict_says_each_failure_once_and_exits_1_where_some_failed(run, photo, tmp_path, capsys):
    for name in ("b.png", "c.png"):
        (photo.parent / name).write_bytes(b"no image")
    command = ["predict", run, str(photo.parent), "--out", str(tmp_path / "masks")]
    assert unetpp([*command, "--json"]) == 1
    shown = capsys.readouterr()
    assert (shown.err.count("b.png"), shown.err.count("c.png")) == (1, 1)
    result = json.loads(shown.out.splitlines()[-1])
    assert (result["images"], result["predicted"]) == (3, 1)
    assert [entry["file"] for entry in result["failed"]] == ["b.png", "c.png"]
    assert unetpp([*command, "--overwrite", "--strict"]) == 2
    shown = capsys.readouterr()
    assert (shown.err.count("b.png"), shown.err.count("c.png")) == (1, 0)


def test_predict_twice_is_refused_until_overwrite(run, photo, tmp_path, capsys):
    command = ["predict", run, str(photo), "--out", str(tmp_path / "masks")]
    assert unetpp(command) == 0
    assert unetpp(command) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert unetpp([*command, "--overwrite"]) == 0


def test_export_json_has_the_promised_keys(run, last_line, tmp_path):
    result = last_line("export", run, "--out", str(tmp_path / "m.safetensors"), "--level", "1")
    assert result.keys() == {"file", "level", "max_abs_diff", "bytes", "differing", "checked_px", "card"}
    assert (result["level"], result["max_abs_diff"], result["differing"]) == (1, 0, 0)


def test_report_names_the_file_it_wrote(run, last_line):
    assert Path(last_line("report", run)["report"]).read_text().startswith("<!doctype html>")


@pytest.mark.slow
def test_compare_json_and_for_people(run, last_line, tmp_path, capsys):
    other = write_untrained_run(tmp_path, name="other")
    for name in (run, other):
        last_line("evaluate", name, f"data.uri={tmp_path}/run-data")
    assert last_line("compare", run, other)["paired"][0]["mean_difference"] == 0
    assert unetpp(["compare", run, other]) == 0
    assert "not distinguishable" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate"],
        ["report"],
        ["compare", "elsewhere"],
        ["predict", "x.png", "--out", "o"],
        ["export", "--out", "m.pt2"],
    ],
)
def test_verbs_without_run_exit_two_with_one_line(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("x.png").write_bytes(b"")
    verb, *rest = arguments
    assert unetpp([verb, "nowhere", *rest]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]


def test_help_of_verbs_imports_neither_torch_nor_matplotlib():
    code = (
        "import sys, unetpp.cli.main as main\n"
        "verbs = ('evaluate', 'predict', 'export', 'report', 'compare')\n"
        "assert all(main.run([verb, '--help']) == 0 for verb in verbs)\n"
        "assert not {'torch', 'ray', 'matplotlib', 'monai'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
