"""A run starts only where it can, from what its configuration and its dataset say."""

import shutil

import pytest

from fakes import write_dataset
from machines import machine
from unetpp.config import flatten, load_config, replace
from unetpp.core.errors import ConfigError, ExistsError, InputError
from unetpp.core.manifest import IGNORE
from unetpp.core.rundir import RunDir
from unetpp.core.storage import open_storage
from unetpp.data.dataset.manifests import commit_manifest
from unetpp.training.run.prepare import new_run, resumed_run

LAPTOP = machine()


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
    resumed = resumed_run(load_config(None, [f"out={job.run_uri}"]), LAPTOP)[0]
    assert resumed == job


def resume(run_uri, *overrides, hardware=LAPTOP):
    return resumed_run(load_config(None, [f"out={run_uri}", *overrides]), hardware)


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("optim.lr=0.5", "what was trained so far followed"),
        ("model.depth=2", "the checkpoint holds this network"),
        ("data.seed=1", "order and the content of the batches"),
        ("tune.metric=iou", "which checkpoint is the best"),
        # These are defaults, which the run was not started with.
        ("model.width=32", "the checkpoint holds this network"),
        ("loss.ce=0.5", "what was trained so far followed"),
    ],
)
def test_resumed_run_other_value_that_must_stay_is_refused_with_the_reason(config, override, reason):
    job, _ = new_run(replace(config, {"loss.ce": 0.7}), LAPTOP)
    key, _, value = override.partition("=")
    with pytest.raises(ConfigError, match=rf"remove {key}={value} \(run: .*; .*{reason}"):
        resume(job.run_uri, override)


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_resumed_run_other_number_of_workers_is_taken_in_both_directions(config, before, after):
    job, _ = new_run(replace(config, {"scale.workers": before}), LAPTOP)
    resumed, changes = resume(job.run_uri, f"scale.workers={after}")
    assert resumed.config.scale.workers == after
    assert resumed.config.scale.cpus_per_worker == 1 / after
    assert resumed.config.data == job.config.data
    assert ("scale.workers", after, f"was {before}") in {(c.field, c.value, c.reason) for c in changes}
    assert resume(job.run_uri)[0] == resumed


def test_resumed_run_values_that_equal_those_of_the_run_change_nothing(config):
    job, decisions = new_run(config, LAPTOP)
    same = [f"{d.field}=auto" for d in decisions] + [
        "train.epochs=20",
        "scale.workers=1",
        "scale.address=none",
    ]
    assert resume(job.run_uri, *same) == (job, ())


def test_resumed_run_other_cache_is_taken(config, tmp_path):
    job, _ = new_run(config, LAPTOP)
    resumed, _ = resume(job.run_uri, "data.cache_bytes=1000", f"data.cache_dir={tmp_path}/c")
    assert (resumed.config.data.cache_bytes, resumed.config.data.cache_dir) == (1000, f"{tmp_path}/c")


CLUSTER = [
    "scale.address=10.0.0.1:6379",
    "scale.labels={zone: a}",
    "scale.autoscaling=true",
    "scale.node_cpus=8",
]


@pytest.mark.parametrize("local", ["none", "null", ""])
def test_resumed_run_of_a_cluster_goes_on_here_only_where_that_is_asked_for(config, local):
    job, _ = new_run(load_config(None, [*given(config), *CLUSTER]), LAPTOP)
    assert resume(job.run_uri)[0].config.scale.address == "10.0.0.1:6379"
    resumed, changes = resume(job.run_uri, f"scale.address={local}")
    scale = resumed.config.scale
    assert (scale.address, scale.labels, scale.autoscaling, scale.node_cpus) == (None, {}, False, 0)
    assert {"scale.address", "scale.labels", "scale.autoscaling"} <= {change.field for change in changes}
    back, _ = resume(job.run_uri, "scale.address=10.0.0.2:6379")
    assert back.config.scale.address == "10.0.0.2:6379"


def test_resumed_run_labels_of_a_cluster_need_one(config):
    job, _ = new_run(config, LAPTOP)
    with pytest.raises(ConfigError, match=r"set scale\.address"):
        resume(job.run_uri, "scale.labels={zone: a}")


def given(config):
    return [f"data.uri={config.data.uri}", f"out={config.out}", "model.width=4"]


def test_resumed_run_of_a_moved_dataset_reads_it_where_it_is_named(config, dataset, tmp_path):
    shutil.copytree(dataset[0], tmp_path / "data")
    job, _ = new_run(replace(config, {"data.uri": str(tmp_path / "data")}), LAPTOP)
    (tmp_path / "data").rename(tmp_path / "moved")
    with pytest.raises(InputError, match=r"are gone from .*data\.uri="):
        resume(job.run_uri)
    resumed, _ = resume(job.run_uri, f"data.uri={tmp_path / 'moved'}")
    assert (resumed.config.data.uri, resumed.manifest) == (str(tmp_path / "moved"), dataset[1])
    write_dataset(tmp_path / "other", {"train": 7, "val": 2})
    with pytest.raises(InputError, match="are gone"):
        resume(job.run_uri, f"data.uri={tmp_path / 'other'}")


def test_resumed_run_keeps_the_version_it_was_started_with(config, dataset, tmp_path):
    shutil.copytree(dataset[0], tmp_path / "data")
    job, _ = new_run(replace(config, {"data.uri": str(tmp_path / "data")}), LAPTOP)
    newer = dataset[1].model_copy(update={"version": "00002", "splits": {}})
    commit_manifest(open_storage(str(tmp_path / "data")), newer)
    assert resume(job.run_uri)[0].manifest == dataset[1]


def test_resumed_run_that_never_started_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no run at"):
        resumed_run(load_config(None, [f"out={tmp_path}"]), LAPTOP)
