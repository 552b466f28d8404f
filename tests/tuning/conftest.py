"""A two-parameter space, and studies in SQLite files."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

from fakes import write_dataset
from sweeps import LAPTOP
from unetpp.config import RunConfig, load_config
from unetpp.tuning.ledger import Ledger
from unetpp.tuning.setup import SweepSetup
from unetpp.tuning.space.space import Space, load_space
from unetpp.tuning.study.storage import open_storage_url
from unetpp.tuning.study.study import open_study

SPACE = """
def space(trial):
    depth = trial.suggest_int("model.depth", 2, 4)
    dilation = trial.suggest_categorical(f"model.dilation.{depth}", [1, 2])
    return {
        "model.depth": depth,
        "model.dilation": [1] * depth + [dilation],
        "optim.lr": trial.suggest_float("optim.lr", 1e-4, 1e-2, log=True),
    }
"""

OpenLedger = Callable[..., Ledger]
OpenStudy = Callable[..., optuna.Study]
WriteSpace = Callable[[str], Space]


@pytest.fixture
def write_space(tmp_path: Path) -> WriteSpace:
    def write(text: str = SPACE, name: str = "space.py") -> Space:
        (tmp_path / name).write_text(text)
        return load_space(tmp_path / name)

    return write


@pytest.fixture
def space(write_space: WriteSpace) -> Space:
    return write_space(SPACE)


@pytest.fixture(scope="session")
def empty_storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with Optuna's tables; making them takes longer than most tests."""
    file = tmp_path_factory.mktemp("storage") / "study.db"
    open_storage_url(f"sqlite:///{file}")
    return file


@pytest.fixture
def storage_url(tmp_path: Path, empty_storage: Path) -> str:
    shutil.copy(empty_storage, tmp_path)
    return f"sqlite:///{tmp_path / empty_storage.name}"


@pytest.fixture
def base() -> RunConfig:
    return load_config(None, ["model.depth=3", "data.crop=64", "tune.sampler=random"])


@pytest.fixture
def open_(space: Space, storage_url: str, base: RunConfig) -> OpenStudy:
    """Open the study; keyword arguments replace what it is opened with."""

    def open_it(**changes: Any) -> optuna.Study:
        given = {"storage_url": storage_url, "name": "sweep", "space": space, "config": base} | changes
        return open_study(given.pop("storage_url"), given.pop("name"), **given)

    return open_it


@pytest.fixture
def study(open_: OpenStudy) -> optuna.Study:
    return open_()


_WIDTHS = """
def space(trial):
    # Trials of equal width have a seed each: none repeats another.
    return {"model.width": trial.suggest_int("model.width", 2, 5), "train.seed": trial.number}
"""


@pytest.fixture
def open_ledger(tmp_path: Path, empty_storage: Path) -> OpenLedger:
    """Open the ledger of a sweep of four trials of nine epochs; again continues it."""
    manifest = write_dataset(tmp_path / "data", {"train": 12, "val": 4})
    shutil.copy(empty_storage, tmp_path / "study.db")

    def make(
        *overrides: str, source: str = _WIDTHS, memory_bytes: int = 2**33, storage: str | None = None
    ) -> Ledger:
        path = tmp_path / "space.py"
        path.write_text(source)
        fields = ["model.depth=2", "tune.trials=4", "train.epochs=9", "tune.sampler=random"]
        places = [f"data.uri={tmp_path / 'data'}", f"out={tmp_path / 'sweep'}"]
        config, space = load_config(None, [*places, *fields, *overrides]), load_space(path)
        url = storage or f"sqlite:///{tmp_path / 'study.db'}"
        study = open_study(url, "sweep", space=space, config=config)
        return Ledger(
            SweepSetup(str(tmp_path / "sweep"), config, space, manifest, LAPTOP, memory_bytes), study
        )

    return make
