"""A run that was stopped or killed and resumed ends with the very weights of one that was not."""

import json
import shutil
from collections.abc import Callable

import pytest

from fakes import LocalSession, final_weights, start_run, tiny_config, train
from unetpp.core.rundir import RunDir
from unetpp.training.run.job import TrainJob


class KilledSession(LocalSession):
    """Ends as a killed process does: nothing runs after the step."""

    def __init__(self, *, after: int) -> None:
        super().__init__()
        self._after = after

    def heartbeat(self, progress):
        request = super().heartbeat(progress)
        if self.steps == self._after:
            raise KeyboardInterrupt
        return request


def job_for(tmp_path, dataset, name, **sections) -> TrainJob:
    uri, manifest = dataset
    return start_run(tiny_config(uri, **sections).model_copy(update={"out": str(tmp_path / name)}), manifest)


def learned(job: TrainJob) -> list[tuple[float, float, int]]:
    """Training loss, validation Dice and images of every epoch."""
    epochs = RunDir(job.run_uri).read_metrics()
    return [(epoch["loss"], epoch["val"]["dice"], epoch["images"]) for epoch in epochs]


def saved_state(job: TrainJob) -> dict[str, float]:
    found = RunDir(job.run_uri).checkpoints.latest()
    assert found is not None
    return json.loads(found[1]["state.json"])


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, dataset) -> Callable[..., TrainJob]:
    """A run with these sections that nothing stopped, trained once; only read."""
    trained: dict[str, TrainJob] = {}

    def get(**sections) -> TrainJob:
        key = json.dumps(sections)
        if key not in trained:
            trained[key] = job_for(tmp_path_factory.mktemp("whole"), dataset, "run", **sections)
            train(trained[key])
        return trained[key]

    return get


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stop_after", "extra"),
    [
        (1, {"ema": 0.9}), (5, {}), (7, {"ema": 0.9}), (11, {}),
        *(
            pytest.param(*combination, marks=pytest.mark.nightly)
            for combination in ((1, {}), (5, {"ema": 0.9}), (7, {}), (11, {"ema": 0.9}))
        ),
    ],
)  # fmt: skip
def test_resume_after_a_stop_at_any_step_is_bit_equal(tmp_path, dataset, undisturbed, stop_after, extra):
    sections = {"model": {"dropout": 0.1, "norm": "batch"}, "train": extra}
    whole, cut = undisturbed(**sections), job_for(tmp_path, dataset, "cut", **sections)
    state = train(cut, LocalSession(stop_after=stop_after))
    assert state.global_step == stop_after
    resumed = train(cut)
    assert resumed.finished
    assert final_weights(cut) == final_weights(whole)
    assert learned(cut) == learned(whole)


@pytest.mark.slow
def test_checkpoint_of_every_step_continues_bit_equal(tmp_path, dataset):
    # 2 epochs of 5 steps, of which the last holds 2 samples.
    sections = {
        "model": {"dropout": 0.1},
        "train": {"epochs": 2, "checkpoint_every_steps": 1, "keep_checkpoints": 99},
    }
    whole = job_for(tmp_path, dataset, "whole", **sections)
    train(whole)
    steps = RunDir(whole.run_uri).checkpoints.steps()
    assert steps == list(range(1, 11))
    for step in steps:
        cut = job_for(tmp_path, dataset, f"cut-{step}", **sections)
        source, target = (RunDir(job.run_uri).storage.local_path("checkpoints") for job in (whole, cut))
        shutil.copytree(source / f"step-{step:08d}", target / f"step-{step:08d}")
        RunDir(cut.run_uri).write_metrics(RunDir(whole.run_uri).read_metrics()[: (step - 1) // 5])
        if step < 10:
            train(cut)
        assert final_weights(cut) == final_weights(whole)
        assert learned(cut)[-1] == learned(whole)[-1] or step == 10


@pytest.mark.slow
@pytest.mark.parametrize(
    ("every", "after", "kept"), [(2, 4, 2), (2, 5, 4), (3, 9, 6), (2, 12, 10), (0, 8, 5)]
)
def test_killed_run_continues_after_its_last_checkpoint(tmp_path, dataset, undisturbed, every, after, kept):
    sections = {"train": {"checkpoint_every_steps": every, "checkpoint_minutes": 0}}
    whole, killed = undisturbed(), job_for(tmp_path, dataset, "killed", **sections)
    with pytest.raises(KeyboardInterrupt):
        train(killed, KilledSession(after=after))
    state = saved_state(killed)
    assert (state["global_step"], state["sums"]["images"]) == (kept, 4 * (kept % 5))
    session = LocalSession()
    train(killed, session)
    assert session.steps == 15 - kept
    assert final_weights(killed) == final_weights(whole)
    assert learned(killed) == learned(whole)


def test_interrupted_epoch_counts_the_time_before_the_stop(tmp_path, dataset):
    job = job_for(tmp_path, dataset, "run", train={"epochs": 1})
    train(job, LocalSession(stop_after=3))
    before = saved_state(job)["sums"]
    train(job)
    metrics = RunDir(job.run_uri).read_metrics()[0]
    assert 0 < before["seconds"] < metrics["train_seconds"] <= metrics["seconds"]
    assert 0 < metrics["data_wait"] < 1
    assert metrics["images_per_s"] == pytest.approx(18 / metrics["train_seconds"])


def test_checkpoint_minutes_elapsed_saves_after_every_step(tmp_path, dataset):
    # A millionth of a minute has always passed.
    sections = {"train": {"epochs": 1, "checkpoint_minutes": 1e-6, "keep_checkpoints": 99}}
    job = job_for(tmp_path, dataset, "run", **sections)
    train(job)
    assert RunDir(job.run_uri).checkpoints.steps() == [1, 2, 3, 4, 5]
