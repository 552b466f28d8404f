"""A dataset of one split, packed by a named folder or by fractions, and everything that reads datasets."""

import json

import numpy as np
import pytest

from unetpp.cli.main import run
from unetpp.core.storage import Storage
from unetpp.data.dataset.manifests import load_manifest
from unetpp.data.dataset.parquet import iter_samples

SPLITS = ("train", "val", "test")


def command(capsys, *arguments: object) -> dict:
    assert run([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def refusal(capsys, *arguments: object) -> str:
    assert run([*map(str, arguments)]) == 2
    return capsys.readouterr().err


def folders(cells, split: str = "") -> list[str]:
    name = f"{split}=" if split else ""
    return ["--images", f"{name}{cells.images}", "--masks", f"{name}{cells.masks}", "--workers", "0"]


@pytest.mark.parametrize("split", SPLITS)
def test_data_pack_of_one_named_split_holds_it_alone_and_verifies(cells, tmp_path, capsys, split):
    out = tmp_path / "out"
    result = command(capsys, "data", "pack", *folders(cells, split), "--out", out)
    assert result["splits"] == {name: 12 if name == split else 0 for name in SPLITS}
    assert command(capsys, "data", "verify", out)["ok"]
    drawn = command(capsys, "data", "preview", out, "--out", tmp_path / "p.png", "--count", 2)
    assert drawn["split"] == split
    repacked = command(capsys, "data", "repack", out, "--out", tmp_path / "again")
    assert set(repacked["shards"]) == {split}


@pytest.mark.parametrize(
    ("fractions", "filled"),
    [
        (["--test", 1], {"test": 12}),
        (["--val", 0, "--test", 1], {"test": 12}),
        (["--val", 1], {"val": 12}),
        (["--val", 0.5, "--test", 0.5], {"val": 6, "test": 6}),
        (["--val", 0, "--test", 0], {"train": 12}),
    ],
)
def test_data_pack_with_nothing_left_for_a_split_leaves_it_out(cells, tmp_path, capsys, fractions, filled):
    result = command(capsys, "data", "pack", *folders(cells), *fractions, "--out", tmp_path / "out")
    assert {name: rows for name, rows in result["splits"].items() if rows} == filled


def test_statistics_of_a_set_without_training_rows_are_those_of_its_rows(cells, tmp_path, capsys):
    out = tmp_path / "out"
    command(capsys, "data", "pack", *folders(cells, "test"), "--out", out)
    described = command(capsys, "data", "stats", out)
    samples = list(iter_samples(Storage(str(out)), load_manifest(Storage(str(out))), "test"))
    pixels = np.concatenate([sample.image.ravel() for sample in samples])
    assert described["channel_stats"][0]["mean"] == pytest.approx(pixels.mean())
    assert described["channel_stats"][0]["p99"] <= pixels.max()
    assert described["class_pixels"] == {"foreground": sum(int(sample.mask.sum()) for sample in samples)}
    assert sum(described["foreground_histogram"]) == 12


@pytest.mark.parametrize(("split", "missing"), [("test", "train"), ("val", "train"), ("train", "val")])
def test_training_and_sweeping_on_a_set_without_what_they_need_say_what_is_missing(
    cells, tmp_path, capsys, split, missing
):
    out = tmp_path / "out"
    command(capsys, "data", "pack", *folders(cells, split), "--out", out)
    (tmp_path / "space.py").write_text("def space(trial):\n    return {}\n")
    said = f"has no rows in split {missing}, only in {split}"
    errors = refusal(capsys, "tune", tmp_path / "space.py", f"data.uri={out}", f"out={tmp_path / 'sweep'}")
    assert said in errors
    if missing == "train":
        errors = refusal(capsys, "train", f"data.uri={out}", f"out={tmp_path / 'run'}")
        assert said in errors
        assert "evaluate" in errors
    assert not (tmp_path / "run").exists()
