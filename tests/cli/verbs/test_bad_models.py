"""Models and images that cannot be used are mistakes with their fix: no traceback, nothing written."""

import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unetpp.cli.main import run as main
from untrained_run import write_untrained_run

VERBS = ("predict", "evaluate", "export")


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return Path(write_untrained_run(tmp_path_factory.mktemp("good"), sizes=[(16, 16)] * 2))


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for index in range(2):
        save(folder / f"{index}.png", index)
    return folder


def save(path, seed):
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (12, 12, 3), np.uint8)).save(path)


def call(verb, run, images, out, *options):
    places = {
        "predict": [str(run), str(images), "--out", str(out)],
        "evaluate": [str(run), "--out", str(out)],
        "export": [str(run), "--out", f"{out}.safetensors"],
    }
    return main([verb, *places[verb], *options])


def refused(capsys, said):
    error = capsys.readouterr().err
    return all(text in error for text in said) and "Traceback" not in error


@pytest.mark.parametrize("verb", VERBS)
def test_run_without_a_checkpoint_is_refused(good, images, tmp_path, capsys, verb):
    run = tmp_path / "run"
    shutil.copytree(good, run)
    shutil.rmtree(run / "checkpoints")
    assert call(verb, run, images, tmp_path / "out") == 1
    assert refused(capsys, ["has no usable checkpoint"])
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize("verb", VERBS)
def test_run_whose_checkpoint_is_damaged_is_refused(good, images, tmp_path, capsys, verb):
    run = tmp_path / "run"
    shutil.copytree(good, run)
    (weights,) = run.rglob("model.safetensors")
    content = bytearray(weights.read_bytes())
    content[-5] ^= 1
    weights.write_bytes(content)
    assert call(verb, run, images, tmp_path / "out") == 1
    assert refused(capsys, ["has no usable checkpoint"])
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize("verb", VERBS)
def test_level_that_was_not_trained_is_refused(good, images, tmp_path, capsys, verb):
    assert call(verb, good, images, tmp_path / "out", "--level", "7") == 2
    assert refused(capsys, ["7"])
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize("verb", VERBS)
def test_folder_that_is_no_run_is_refused(images, tmp_path, capsys, verb):
    assert call(verb, tmp_path, images, tmp_path / "out") == 2
    assert refused(capsys, ["no run at", "name the folder `unetpp train` wrote"])


@pytest.mark.parametrize("verb", ["predict", "evaluate"])
def test_mistake_is_told_before_workers_are_started(good, images, tmp_path, capsys, monkeypatch, verb):
    def started(*_, **__):
        pytest.fail("Ray was started")

    monkeypatch.setattr("unetpp.api.pool.available_cpus", started)
    assert call(verb, good, images, tmp_path / "out", "--workers", "-1") == 2
    monkeypatch.undo()
    monkeypatch.setattr("unetpp.launch.connect.connected", started)
    for place, options in ((tmp_path, ()), (good, ("--level", "7"))):
        assert call(verb, place, images, tmp_path / "out", "--workers", "2", *options) == 2
    assert refused(capsys, ["--workers -1 must be at least 0", "no run at"])


def test_unreadable_files_among_many_are_listed_and_the_others_predicted(good, tmp_path, capsys):
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(300):
        save(folder / f"{index:03d}.png", index % 7)
    (folder / "100.png").write_bytes(b"")
    (folder / "200.png").write_bytes(bomb())
    assert call("predict", good, folder, tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert error.count("not predicted:") == 2
    assert "not predicted: 100.png" in error
    assert "decompression bomb" in error
    assert len(list((tmp_path / "out").glob("*.png"))) == 298


def bomb():
    """The PNG header of 10^5 x 10^5 pixels, with hardly any data."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )
