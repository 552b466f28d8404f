"""A stream is taken only as the plan has it; whatever differs is an error and never fewer rows."""

import dataclasses

import numpy as np
import pytest

from fakes import LocalSession, tiny_config
from unetpp.core.errors import UnetppError
from unetpp.data.stream.stream_plan import Position
from unetpp.training.loop.delivery import Delivery
from unetpp.training.run.job import TrainJob, stream_plan


@pytest.fixture(scope="module")
def plan(dataset):
    uri, manifest = dataset
    return stream_plan(TrainJob(tiny_config(uri, train={"epochs": 1}), manifest, "memory"))


def batches_of(plan, rank, world_size):
    return LocalSession(rank=rank, world_size=world_size).batches(plan, Position())


def take_all(plan, batches, rank=0, world_size=1):
    """(split, position) of every row that counts."""
    delivery, rows = Delivery(iter(batches), plan, rank, world_size), []
    for split, steps in (("train", plan.train_steps), ("val", plan.val_steps(world_size))):
        for step in range(steps):
            batch = delivery.take(split, 0, step)
            rows += [(split, int(position)) for position in batch.positions[batch.weights > 0]]
    return rows


@pytest.mark.parametrize("world_size", [1, 2, 3, 4])
def test_delivery_over_all_ranks_is_every_row_once(plan, world_size):
    ranks = range(world_size)
    rows = [row for r in ranks for row in take_all(plan, batches_of(plan, r, world_size), r, world_size)]
    expected = [("train", row) for row in range(18)] + [("val", row) for row in range(5)]
    assert sorted(rows) == sorted(expected)


def changed(batch, **fields):
    return dataclasses.replace(batch, **fields)


CHANGES = {
    "lost": lambda batches: batches[:-1],
    "twice": lambda batches: [*batches[:-1], batches[-2]],
    "swapped": lambda batches: [*batches[:-2], batches[-1], batches[-2]],
    "of another split": lambda batches: [*batches[:-1], changed(batches[-1], split="train")],
    "of another epoch": lambda batches: [*batches[:-1], changed(batches[-1], epoch=1)],
    "a row twice": lambda batches: [
        *batches[:-2],
        changed(batches[-2], positions=np.array([0, 0, 2, 3])),
        batches[-1],
    ],
    "a row without weight": lambda batches: [
        *batches[:-2],
        changed(batches[-2], weights=np.array([1, 1, 1, 0], np.float32)),
        batches[-1],
    ],
}


@pytest.mark.parametrize("change", CHANGES)
def test_delivery_of_validation_batches_that_differ_is_an_error(plan, change):
    batches = CHANGES[change](list(batches_of(plan, 0, 1)))
    with pytest.raises(UnetppError, match=r"val step \d of epoch 0"):
        take_all(plan, batches)
