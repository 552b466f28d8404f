"""A run where a dataset is needed, and every other mix-up: told with what is there, nothing written."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unetpp.cli.main import run as main
from untrained_run import write_untrained_run

SPACE = 'def space(trial):\n    return {"optim.lr": trial.suggest_float("optim.lr", 1e-4, 1e-2)}\n'


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one place of every kind."""
    folder = tmp_path_factory.mktemp("places")
    run = Path(write_untrained_run(folder, sizes=[(16, 16)] * 2))
    shutil.copytree(folder / "run-data", folder / "data")
    for name, file in (("sweep", "sweep.yaml"), ("folds", "folds.json")):
        (folder / name).mkdir()
        (folder / name / file).write_text('{"folds": 2, "seed": 0, "groups": {}, "config": {}}')
        shutil.copy(run / "dataset.json", folder / name)
    for name in ("images", "masks"):
        (folder / name).mkdir()
        for index in range(4):
            pixels = np.full((16, 16), index, np.uint8)
            pixels[: 4 + index] = 200
            picture = pixels if name == "images" else np.where(pixels == 200, 255, 0).astype(np.uint8)
            Image.fromarray(picture).save(folder / name / f"{index}.png")
    (folder / "space.py").write_text(SPACE)
    (folder / "model.onnx").write_bytes(b"no model")
    return folder


def _files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if "owners" not in path.parts}


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("data stats run", "holds a run where a packed dataset is needed"),
        ("data verify sweep", "holds a sweep where a packed dataset is needed"),
        ("data stats model.onnx", "model.onnx"),
        ("train data.uri=run out=new", "holds a run where a packed dataset is needed"),
        ("train data.uri=data out=data", "holds a packed dataset; name another place for the run"),
        ("train data.uri=data out=sweep", "holds a sweep; name another place for the run"),
        ("train data.uri=data out=run train.folds=2", "holds a run; name another place for the cross-valid"),
        ("train out=data --resume", "holds a packed dataset where a run is needed"),
        ("tune space.py data.uri=data out=run", "holds a run; name another place for the sweep"),
        ("tune --resume run", "holds a run where a sweep is needed"),
        ("evaluate data", "holds a packed dataset where a run is needed"),
        ("evaluate sweep", "such as {folder}/sweep/trials/0000"),
        ("predict data images --out new", "holds a packed dataset where a run is needed"),
        ("predict run run --out new", "holds a run, not images"),
        ("predict run images --out data", "holds a packed dataset; name another place for the masks"),
        ("export model.onnx --out new.onnx", "is a file where a run is needed"),
        (
            "export folds --out new.onnx",
            "a run for each fold, such as {folder}/folds/fold-0",
        ),
        ("report data", "holds a packed dataset where a run is needed"),
        (
            "report folds",
            "a run for each fold, such as {folder}/folds/fold-0",
        ),
        ("report images", "neither config.yaml nor sweep.yaml is there"),
        ("compare run data", "holds a packed dataset where a run is needed"),
        ("dashboard model.onnx", "is a file"),
        ("data pack --images images --masks masks --out run", "name another place for the packed dataset"),
        ("data pack --images data --masks masks --out new", "it holds a packed dataset, not the files"),
        ("data pack --images images/0.png --masks masks --out new", "must be a folder, it is a file"),
        ("data repack data --out run", "holds a run; name another place for the packed dataset"),
    ],
)
def test_place_of_another_kind_is_refused(
    places: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, told: str
) -> None:
    monkeypatch.chdir(places)
    before = _files(places)
    assert main(command.split()) == 2
    error = capsys.readouterr().err
    assert told.format(folder=places) in error
    assert "Traceback" not in error
    assert _files(places) == before


def test_folder_with_a_file_of_that_name_is_no_run(tmp_path: Path, places: Path) -> None:
    (tmp_path / "config.yaml").write_text("site: mine\n")
    (tmp_path / "manifest.json").write_text("{}")
    folders = ["--images", str(places / "images"), "--masks", str(places / "masks")]
    assert main(["data", "pack", *folders, "--out", str(tmp_path / "data")]) == 0
    shutil.copy(tmp_path / "config.yaml", tmp_path / "data")
    assert main(["data", "pack", *folders, "--out", str(tmp_path / "data"), "--overwrite"]) == 0
