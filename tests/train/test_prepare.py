"""A run starts only where it can, from what its configuration and its dataset say."""

import pytest

from fakes import write_dataset
from unetpp.config import Hardware, flatten, load_config
from unetpp.core.errors import ConfigError, ExistsError, InputError
from unetpp.core.manifest import IGNORE
from unetpp.core.rundir import RunDir
from unetpp.train.prepare import new_run, resumed_run

LAPTOP = Hardware(cpus=2, memory_bytes=8 * 2**30, gpus=0, gpu_memory_bytes=0)


@pytest.fixture
def config(dataset, tmp_path):
    return load_config(None, [f"data.uri={dataset[0]}", f"out={tmp_path / 'run'}", "model.width=4"])


def test_new_run_writes_everything_known_before_the_first_step(config, dataset):
    job, decisions = new_run(config, LAPTOP)
    run = RunDir(job.run_uri)
    assert run.read_dataset() == dataset[1]
    assert run.read_config()["model"]["in_channels"] == 1
    assert {d["field"] for d in run.read_decisions()} == {decision.field for decision in decisions}
    assert "auto" not in {
        str(value) for key, value in flatten(job.config).items() if not key.startswith("tune.")
    }
    assert run.read_provenance()["versions"]["torch"]


def test_new_run_relative_paths_become_absolute(dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job, _ = new_run(load_config(None, [f"data.uri={dataset[0]}", "out=runs/a"]), LAPTOP)
    assert job.run_uri == str(tmp_path / "runs" / "a")


def test_new_run_where_one_exists_is_refused(config):
    new_run(config, LAPTOP)
    with pytest.raises(ExistsError, match="--resume"):
        new_run(config, LAPTOP)


def test_new_run_without_a_dataset_says_how_to_name_one(tmp_path):
    with pytest.raises(ConfigError, match=r"data\.uri=URI"):
        new_run(load_config(None, [f"out={tmp_path}"]), LAPTOP)


def test_new_run_folder_that_is_no_dataset_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no packed dataset"):
        new_run(load_config(None, [f"data.uri={tmp_path / 'empty'}", f"out={tmp_path / 'run'}"]), LAPTOP)
    assert not (tmp_path / "run" / "config.yaml").exists()


@pytest.mark.parametrize(
    ("value", "said"), [(IGNORE, "all of its pixels are ignored"), (0, "a pixel of square")]
)
def test_new_run_whose_validation_could_not_be_scored_is_refused(tmp_path, value, said):
    write_dataset(tmp_path / "data", {"train": 8, "val": 3}, val_mask_value=value)
    with pytest.raises(InputError, match=said):
        new_run(load_config(None, [f"data.uri={tmp_path / 'data'}", f"out={tmp_path / 'run'}"]), LAPTOP)
    assert not (tmp_path / "run").exists()


def test_new_run_dataset_without_training_rows_is_refused(tmp_path):
    write_dataset(tmp_path / "data", {"train": 0, "val": 3})
    with pytest.raises(InputError, match="no rows in split train"):
        new_run(load_config(None, [f"data.uri={tmp_path / 'data'}", f"out={tmp_path / 'run'}"]), LAPTOP)


def test_resumed_run_keeps_the_configuration_it_was_started_with(config):
    job, _ = new_run(config, LAPTOP)
    resumed = resumed_run(load_config(None, [f"out={job.run_uri}"]), LAPTOP)
    assert resumed == job


def test_resumed_run_other_learning_rate_is_refused(config):
    job, _ = new_run(config, LAPTOP)
    with pytest.raises(ConfigError, match=r"remove optim\.lr=0\.5"):
        resumed_run(load_config(None, [f"out={job.run_uri}", "optim.lr=0.5"]), LAPTOP)


def test_resumed_run_other_number_of_workers_is_taken(config):
    job, _ = new_run(config, LAPTOP)
    resumed = resumed_run(load_config(None, [f"out={job.run_uri}", "scale.workers=2"]), LAPTOP)
    assert resumed.config.scale.workers == 2
    assert resumed.config.scale.cpus_per_worker == 0.5
    assert resumed.config.data == job.config.data


def test_resumed_run_other_cache_is_taken(config, tmp_path):
    job, _ = new_run(config, LAPTOP)
    overrides = [f"out={job.run_uri}", "data.cache_bytes=1000", f"data.cache_dir={tmp_path}/c"]
    resumed = resumed_run(load_config(None, overrides), LAPTOP)
    assert (resumed.config.data.cache_bytes, resumed.config.data.cache_dir) == (1000, f"{tmp_path}/c")


def test_resumed_run_that_never_started_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no run at"):
        resumed_run(load_config(None, [f"out={tmp_path}"]), LAPTOP)
