"""Which sweep optuna-dashboard shows."""

import os
from pathlib import Path

import optuna
import pytest

from unetpp.config import dump_yaml, load_config
from unetpp.core.storage import open_storage
from unetpp.launch.local_cluster.optuna_pages import newest_study


def _write_sweep(folder: Path, *, time_s: int, study: bool = True, storage: str = "") -> None:
    folder.mkdir(parents=True)
    config = load_config(None, [f"out={folder}", f"tune.storage={storage}"])
    (folder / "sweep.yaml").write_text(dump_yaml(config))
    os.utime(folder / "sweep.yaml", (time_s, time_s))
    if study:
        (folder / "study.db").touch()


def test_newest_study_is_of_the_sweep_that_started_last(tmp_path: Path) -> None:
    _write_sweep(tmp_path / "b", time_s=1000)
    _write_sweep(tmp_path / "a", time_s=2000)
    assert newest_study(str(tmp_path)) == f"sqlite:///{tmp_path}/a/study.db"


def test_newest_study_without_its_file_gives_the_one_before(tmp_path: Path) -> None:
    _write_sweep(tmp_path / "b", time_s=1000)
    _write_sweep(tmp_path / "a", time_s=2000, study=False)
    assert newest_study(str(tmp_path)) == f"sqlite:///{tmp_path}/b/study.db"


def test_newest_study_on_a_server_is_its_url(tmp_path: Path) -> None:
    url = "postgresql+psycopg://user@host/optuna"
    _write_sweep(tmp_path / "a", time_s=1000, study=False, storage=url)
    assert newest_study(str(tmp_path)) == url


def test_newest_study_before_any_sweep_is_none(tmp_path: Path) -> None:
    assert newest_study(str(tmp_path / "runs")) is None


@pytest.mark.s3
def test_newest_study_in_a_bucket_is_a_copy_that_follows_it(tmp_path: Path, s3_env) -> None:
    folder = open_storage(f"{s3_env.new_bucket()}/sweeps/first")
    assert newest_study(folder.uri) is None
    folder.write("sweep.yaml", dump_yaml(load_config(None, [f"out={folder.uri}"])).encode())
    study = optuna.create_study(storage=f"sqlite:///{tmp_path}/study.db", study_name="first")
    urls = set()
    for trials in (1, 2):
        study.ask()
        folder.put(tmp_path / "study.db", "study.db")
        urls.add(newest_study(folder.uri.rpartition("/")[0]))
        assert len(optuna.load_study(study_name="first", storage=urls.copy().pop()).trials) == trials
    assert len(urls) == 1
