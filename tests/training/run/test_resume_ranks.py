"""Two ranks killed inside an epoch: one rank goes on with the very next global batch. Without Ray."""

import json
import os
from pathlib import Path

import pytest

from fakes import LocalSession, final_weights, start_run, tiny_config, train
from ranks import run_ranks
from unetpp.core.rundir import RunDir
from unetpp.data.stream.stream_plan import Position
from unetpp.training.run.job import TrainJob, stream_plan

WORLD, EPOCHS, STEPS = 2, 2, 5
_KILLED_CODE = 9


class Recording(LocalSession):
    """Writes down what it is fed, and ends the process, as a kill does, after so many steps."""

    def __init__(self, job: TrainJob, *, rank: int = 0, world_size: int = 1, die_after: int = 0) -> None:
        super().__init__(rank=rank, world_size=world_size)
        self.fed: list[tuple[int, int, list[str]]] = []
        self._job, self._die_after = job, die_after

    def batches(self, plan, start):
        for batch in super().batches(plan, start):
            if batch.split == "train":
                ids = [i for i, w in zip(batch.sample_ids, batch.weights, strict=True) if w > 0]
                self.fed.append((batch.epoch, batch.step, ids))
            yield batch

    def heartbeat(self, progress):
        request = super().heartbeat(progress)
        if self.steps == self._die_after:
            os._exit(_KILLED_CODE)
        return request


def run_rank(rank: int, job: TrainJob, die_after: int) -> None:
    train(job, Recording(job, rank=rank, world_size=WORLD, die_after=die_after))


def run_both(job: TrainJob, store: Path, die_after: int) -> None:
    """Both ranks to their end; those that die leave with `_KILLED_CODE`."""
    assert run_ranks(WORLD, store, run_rank, job, die_after) == {_KILLED_CODE if die_after else 0}


def job_for(tmp_path, dataset, name: str, workers: int) -> TrainJob:
    uri, manifest = dataset
    config = tiny_config(
        uri,
        model={"dropout": 0.1 if workers == WORLD else 0.0},  # drawn anew by each rank
        train={"epochs": EPOCHS, "checkpoint_every_steps": 2},
        scale={"workers": workers},
    )
    return start_run(config.model_copy(update={"out": str(tmp_path / name)}), manifest)


@pytest.mark.slow
def test_two_ranks_killed_inside_an_epoch_are_continued_by_one(tmp_path, dataset):
    jobs = [job_for(tmp_path, dataset, name, 1) for name in ("whole", "killed")]
    whole, killed = jobs
    train(whole)
    run_both(killed, tmp_path / "store", die_after=STEPS + 3)

    found = RunDir(killed.run_uri).checkpoints.latest()
    assert found is not None
    state = json.loads(found[1]["state.json"])
    # The last checkpoint before the kill: step 6 of the run, agreed on by both ranks.
    assert (state["epoch"], state["step"], state["sums"]["images"]) == (1, 1, 4)

    one = Recording(killed)
    assert train(killed, one).finished
    every = LocalSession().batches(stream_plan(whole), Position())
    expected = [(b.epoch, b.step, list(b.sample_ids)) for b in every if b.split == "train"]
    assert one.fed == expected[STEPS + 1 :]

    before, after = (RunDir(job.run_uri).read_metrics() for job in jobs)
    assert [epoch["images"] for epoch in after] == [18, 18]
    assert [epoch["loss"] for epoch in after] == pytest.approx([epoch["loss"] for epoch in before], rel=1e-3)


@pytest.mark.slow
def test_two_ranks_killed_inside_an_epoch_and_resumed_are_bit_equal(tmp_path, dataset):
    whole, killed = (job_for(tmp_path, dataset, name, WORLD) for name in ("whole", "killed"))
    run_both(whole, tmp_path / "store-0", die_after=0)
    run_both(killed, tmp_path / "store-1", die_after=STEPS + 3)
    run_both(killed, tmp_path / "store-2", die_after=0)
    assert final_weights(killed) == final_weights(whole)


@pytest.mark.slow
@pytest.mark.parametrize("distill", [pytest.param(0.0, marks=pytest.mark.nightly), 1.0])
def test_two_ranks_draw_the_dilations_of_one(tmp_path, dataset, distill):
    uri, manifest = dataset
    jobs = []
    for workers in (1, WORLD):
        config = tiny_config(
            uri,
            model={"shared_dilations": ((1, 1, 1), (1, 2, 2), (1, 2, 4))},
            train={"epochs": 1, "sandwich": True},
            loss={"distill": distill},
            scale={"workers": workers},
        )
        jobs.append(start_run(config.model_copy(update={"out": str(tmp_path / str(workers))}), manifest))
    one, two = jobs
    train(one)
    run_both(two, tmp_path / "store", die_after=0)
    (alone,), (shared,) = (RunDir(job.run_uri).read_metrics() for job in jobs)
    assert shared["loss"] == pytest.approx(alone["loss"], rel=1e-4)
    for a, b in zip(alone["val"]["candidates"], shared["val"]["candidates"], strict=True):
        assert a["dilation"] == b["dilation"]
        assert b["levels"]["2"]["dice"] == pytest.approx(a["levels"]["2"]["dice"], abs=1e-3)


@pytest.mark.slow
def test_two_ranks_attack_the_images_of_one_alike(tmp_path, dataset):
    uri, manifest = dataset
    jobs = []
    for workers in (1, WORLD):
        config = tiny_config(
            uri,
            adversarial={"attack": "pgd", "steps": 2},
            train={"epochs": 2},
            scale={"workers": workers},
        )
        jobs.append(start_run(config.model_copy(update={"out": str(tmp_path / str(workers))}), manifest))
    one, two = jobs
    train(one)
    run_both(two, tmp_path / "store", die_after=0)
    alone, shared = (RunDir(job.run_uri).read_metrics() for job in jobs)
    assert [epoch["loss"] for epoch in shared] == pytest.approx([e["loss"] for e in alone], rel=1e-3)
