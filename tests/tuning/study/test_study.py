import pickle
import sqlite3
import threading
from pathlib import Path

import optuna
import pytest

from unetpp.config import load_config, replace
from unetpp.core.errors import ConfigError, StorageError
from unetpp.tuning.study.storage import open_storage_url
from unetpp.tuning.study.study import open_study

LOCK_HELD_S = 2.0


def test_open_study_again_continues_it(open_, base) -> None:
    open_().ask()
    assert [trial.number for trial in open_().trials] == [0]


def test_open_study_keeps_the_space_with_it(study, space) -> None:
    assert study.user_attrs["space_source"] == space.source
    assert study.user_attrs["space_sha256"] == space.sha256


def test_open_study_with_another_space_is_refused_with_the_difference(open_, write_space, space) -> None:
    open_()
    other = write_space(space.source.replace('"model.depth", 2, 4', '"model.depth", 2, 5'))
    with pytest.raises(ConfigError) as caught:
        open_(space=other)
    lines = str(caught.value).splitlines()
    assert "study 'sweep' in sqlite:///" in lines[0]
    assert "give another out= or tune.study_name=" in lines[0]
    assert '-    depth = trial.suggest_int("model.depth", 2, 4)' in lines
    assert '+    depth = trial.suggest_int("model.depth", 2, 5)' in lines


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"optim.lr": 0.5}, "optim.lr: 0.001 -> 0.5"),
        ({"data.uri": "s3://b/d"}, 'data.uri: "" -> "s3://b/d"'),
        ({"tune.metric": "iou"}, 'tune.metric: "dice" -> "iou"'),
    ],
)
def test_open_study_with_another_base_configuration_is_refused_with_the_keys(
    open_, base, change: dict[str, object], said: str
) -> None:
    open_()
    with pytest.raises(ConfigError) as caught:
        open_(config=replace(base, change))
    assert [line.strip() for line in str(caught.value).splitlines()[1:]] == [said]


def test_open_study_with_other_objectives_is_refused(open_, base) -> None:
    open_()
    with pytest.raises(ConfigError, match=r"tune\.objectives: "):
        open_(config=replace(base, {"tune.objectives": ["quality", "macs"]}))


def test_open_study_of_a_release_without_a_field_goes_on_with_its_default(open_, base) -> None:
    fields = dict(open_().user_attrs["base_config"])
    del fields["model.shared_dilations"], fields["tune.one_shot"]
    open_().set_user_attr("base_config", fields)
    open_()
    with pytest.raises(ConfigError, match=r'tune.one_shot: "depth" -> "depth.dilation"'):
        open_(config=replace(base, {"tune.one_shot": "depth+dilation"}))


def test_open_study_may_change_budget_sampler_and_place(open_, base) -> None:
    open_()
    study = open_(
        config=replace(base, {"tune.trials": 99, "tune.sampler": "tpe", "out": "x", "scale.address": "a:1"})
    )
    assert isinstance(study.sampler, optuna.samplers.TPESampler)


def test_open_study_in_one_storage_under_two_names_are_two_studies(open_, base) -> None:
    open_().ask()
    assert open_(name="other", config=replace(base, {"optim.lr": 0.5})).trials == []


def test_open_study_directions_follow_the_objectives(open_, base) -> None:
    study = open_(config=replace(base, {"tune.objectives": ["quality", "latency", "macs"]}))
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE", "MINIMIZE"]


def test_open_study_reopened_suggests_other_random_values(open_, space) -> None:
    first = space(open_().ask())
    assert space(open_().ask()) != first


def test_open_study_result_is_picklable(study) -> None:
    assert pickle.loads(pickle.dumps(study)).user_attrs == study.user_attrs


def test_open_study_creates_the_folder_of_its_file(open_, tmp_path: Path) -> None:
    open_(storage_url=f"sqlite:///{tmp_path}/a/b/study.db")
    assert (tmp_path / "a" / "b" / "study.db").is_file()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("study.db", "must be an Optuna URL"),
        ("sqlite:////proc/absent/study.db", "cannot be used"),
        ("oracle+absent://u:pw@h/d", "must be an Optuna URL"),
        ("postgresql+psycopg://u:secret@127.0.0.1:1/d", r"driver|cannot be used"),
    ],
)
def test_open_storage_that_cannot_be_used_is_a_storage_error(url: str, said: str) -> None:
    with pytest.raises(StorageError, match=said) as caught:
        open_storage_url(url)
    assert "secret" not in str(caught.value)


def test_study_waits_for_a_lock_on_its_file(study, tmp_path: Path) -> None:
    holder = sqlite3.connect(tmp_path / "study.db", isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN EXCLUSIVE")
    release = threading.Timer(LOCK_HELD_S, holder.execute, ["COMMIT"])
    release.start()
    try:
        study.ask()
    finally:
        release.join()
        holder.close()
    assert len(study.trials) == 1


def test_study_survives_two_processes_writing(open_, space) -> None:
    """Two handles with their own connections, as the driver and a dashboard have."""
    one, other = open_(), open_()
    numbers = [study.ask().number for study in (one, other, one, other)]
    assert numbers == [0, 1, 2, 3]


def test_open_study_of_foreign_make_with_trials_is_refused(storage_url, space) -> None:
    optuna.create_study(storage=storage_url, study_name="sweep", direction="maximize").ask()
    with pytest.raises(ConfigError, match="was not started by unetpp"):
        open_study(storage_url, "sweep", space=space, config=load_config(None))
