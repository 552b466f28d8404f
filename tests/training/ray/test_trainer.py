"""Runs on Ray: workers fed by Ray Data agree with each other, with one worker and with an undisturbed run."""

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
import ray

import recording
from fakes import LocalSession, final_weights, start_run, tiny_config, train, write_dataset
from recording import delivered, kill_at
from unetpp.core.errors import UnetppError
from unetpp.core.rundir import RunDir
from unetpp.data.stream.stream_plan import Position
from unetpp.training.ray import trainer
from unetpp.training.ray.trainer import fit
from unetpp.training.run.job import TrainJob, stream_plan

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster"), pytest.mark.timeout(400)]

ROWS = {"train": 102, "val": 21}
TWO_WORKERS = {"train": {"epochs": 2, "checkpoint_every_steps": 3}, "scale": {"workers": 2}}


class Recorder:
    """A listener that remembers, and acts at each new value of progress."""

    def __init__(self, act: Callable[[dict[str, Any]], None] = lambda _values: None) -> None:
        self.epochs: list[dict[str, Any]] = []
        self.warnings: list[str] = []
        self.stop_announced = False
        self._act = act

    def progress(self, values: dict[str, Any]) -> None:
        self._act(values)

    def epoch(self, metrics: dict[str, Any]) -> None:
        self.epochs.append(metrics)

    def warning(self, text: str) -> None:
        self.warnings.append(text)

    def stopping(self) -> None:
        self.stop_announced = True


@pytest.fixture(scope="module")
def larger(tmp_path_factory):
    folder = tmp_path_factory.mktemp("larger")
    return str(folder), write_dataset(folder, ROWS, rows_per_shard=20)


def job_for(tmp_path, dataset, name, **sections):
    uri, manifest = dataset
    return start_run(tiny_config(uri, **sections).model_copy(update={"out": str(tmp_path / name)}), manifest)


def curve(job) -> list[float]:
    """Loss and validation Dice of every epoch, one after the other."""
    epochs = RunDir(job.run_uri).read_metrics()
    return [value for epoch in epochs for value in (epoch["loss"], epoch["val"]["dice"])]


@pytest.mark.nightly
def test_fit_one_worker_equals_the_loop_without_ray(tmp_path, larger):
    here, on_ray = (job_for(tmp_path, larger, name) for name in ("here", "ray"))
    train(here)
    recorder = Recorder()
    assert fit(on_ray, recorder)
    assert [epoch["epoch"] for epoch in recorder.epochs] == [1, 2, 3]
    # The loss to rounding; of Dice a pixel on the threshold may turn with the number of threads.
    assert curve(on_ray)[::2] == pytest.approx(curve(here)[::2], rel=1e-4)
    assert curve(on_ray)[1::2] == pytest.approx(curve(here)[1::2], rel=5e-3)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, larger) -> TrainJob:
    """Two epochs by two workers, which nothing stopped; only read."""
    job = job_for(tmp_path_factory.mktemp("undisturbed"), larger, "run", **TWO_WORKERS)
    assert fit(job, Recorder())
    return job


def test_fit_two_workers_give_the_loss_curve_of_one(tmp_path, larger, undisturbed):
    one = job_for(tmp_path, larger, "one", train={"epochs": 2})
    train(one)
    assert curve(undisturbed) == pytest.approx(curve(one), rel=2e-3)
    assert RunDir(undisturbed.run_uri).read_metrics()[0]["workers"] == 2


@pytest.mark.nightly
def test_fit_two_workers_share_the_statistics_of_the_global_batch(tmp_path, larger):
    training = {"sync_bn": True, "epochs": 2}
    jobs = [
        job_for(
            tmp_path, larger, f"w{workers}",
            model={"norm": "batch"}, train=training, scale={"workers": workers},
        )
        for workers in (1, 2)
    ]  # fmt: skip
    for job in jobs:
        assert fit(job, Recorder())
    assert curve(jobs[1]) == pytest.approx(curve(jobs[0]), rel=2e-3)


@pytest.mark.nightly
def test_fit_worker_killed_at_any_moment_is_replaced_and_nothing_is_lost(tmp_path, larger):
    clean, killed = (
        job_for(tmp_path, larger, n, scale={"workers": 2}, train={"epochs": 30}) for n in ("clean", "killed")
    )
    assert fit(clean, Recorder())
    done: list[int] = []

    def kill_once(values: dict[str, Any]) -> None:
        if values["epoch"] >= 2 and not done:
            done.append(values["pid"])
            os.kill(values["pid"], signal.SIGKILL)

    assert fit(killed, Recorder(kill_once))
    assert done, "the worker finished before it could be killed"
    assert final_weights(killed) == final_weights(clean)
    assert [epoch["epoch"] for epoch in RunDir(killed.run_uri).read_metrics()] == list(range(1, 31))


@pytest.fixture
def recorded(monkeypatch):
    """Workers write down what they are fed, see recording.py."""
    # Workers cannot import what lies beside the tests.
    ray.cloudpickle.register_pickle_by_value(recording)
    monkeypatch.setattr(trainer, "train_worker", recording.recording_worker)
    yield
    ray.cloudpickle.unregister_pickle_by_value(recording)


def scheduled(job: TrainJob) -> dict[tuple[int, int], list[str]]:
    """Sample ids of every global training batch of a run that nothing disturbs."""
    batches = LocalSession().batches(stream_plan(job), Position())
    return {(batch.epoch, batch.step): list(batch.sample_ids) for batch in batches if batch.split == "train"}


@pytest.mark.nightly
def test_fit_killed_inside_an_epoch_continues_with_the_next_global_batch(tmp_path, larger, recorded):
    training = {"epochs": 2, "checkpoint_every_steps": 2}
    job = job_for(tmp_path, larger, "killed", train=training, scale={"workers": 2, "max_failures": 0})
    kill_at(job.run_uri, 1, 15)
    with pytest.raises(UnetppError):
        fit(job, Recorder())
    expected = scheduled(job)
    seen = delivered(job.run_uri)
    # Reading runs ahead of training by a few steps, by how many on the other rank is open.
    assert all(seen[key] == expected[key] for key in expected if key < (1, 11))

    found = RunDir(job.run_uri).checkpoints.latest()
    assert found is not None
    epoch, step = divmod(found[0], 26)
    assert epoch == 1
    assert step > 0, "killed before the first checkpoint of the epoch"
    one = job.config.model_copy(update={"scale": job.config.scale.model_copy(update={"workers": 1})})
    assert fit(TrainJob(one, job.manifest, job.run_uri), Recorder())
    rest = {key: ids for key, ids in expected.items() if key >= (1, step)}
    assert delivered(job.run_uri) == rest
    metrics = RunDir(job.run_uri).read_metrics()
    assert [(epoch["images"], epoch["workers"]) for epoch in metrics] == [(102, 2), (102, 1)]

    clean = job_for(tmp_path, larger, "clean", train=training)
    train(clean)
    assert curve(job) == pytest.approx(curve(clean), rel=2e-3)


def test_fit_killed_inside_an_epoch_with_the_same_workers_is_bit_equal(
    tmp_path, larger, undisturbed, recorded
):
    killed = job_for(tmp_path, larger, "killed", **TWO_WORKERS)
    kill_at(killed.run_uri, 1, 20)
    assert fit(killed, Recorder())
    assert final_weights(killed) == final_weights(undisturbed)
    assert curve(killed) == pytest.approx(curve(undisturbed), rel=1e-12)


@pytest.mark.s3
def test_fit_from_and_to_a_bucket_gives_the_run_of_a_folder(s3_env, undisturbed):
    bucket = s3_env.new_bucket()
    manifest = write_dataset(f"{bucket}/data", ROWS, rows_per_shard=20)
    sections = TWO_WORKERS | {"train": TWO_WORKERS["train"] | {"trackers": ("tensorboard",)}}
    config = tiny_config(f"{bucket}/data", **sections)
    remote = start_run(config.model_copy(update={"out": f"{bucket}/run"}), manifest)
    assert fit(remote, Recorder())
    assert curve(remote) == curve(undisturbed)
    assert final_weights(remote) == final_weights(undisturbed)
    files = RunDir(remote.run_uri).storage.list()
    assert any(path.startswith("tensorboard/events") for path in files)
    assert not any(path.startswith("ray-train") for path in files)
