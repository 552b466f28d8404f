"""Batches read from real shards hold each sample once and are the same for any number of workers."""

import numpy as np
import pytest

from fakes import SIDE_PX, read_unit, write_dataset
from unetpp.core.errors import CorruptionError
from unetpp.core.manifest import IGNORE
from unetpp.data.stream.batch import HostBatch
from unetpp.data.stream.stream_plan import StreamPlan, epoch_units


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed")
    return folder, write_dataset(folder, {"train": 23, "val": 7})


def plan_of(packed, **changes) -> StreamPlan:
    folder, manifest = packed
    fields = {
        "uri": str(folder), "manifest": manifest, "batch_size": 4,
        "crop": (SIDE_PX, SIDE_PX), "foreground": 0.0,
        "epochs": 2, "validate_every": 1, "seed": 0,
        "window_bytes": 3000, "drop_last": False, "reading_tasks": 1,
    }  # fmt: skip
    return StreamPlan(**(fields | changes))


def read_epoch(plan: StreamPlan, epoch: int, world_size: int, first_step: int = 0) -> list[list[HostBatch]]:
    """Batches of each rank."""
    return [
        [
            batch
            for unit in epoch_units(plan, epoch, world_size=world_size, first_step=first_step)
            for batch in read_unit(plan, unit, rank=rank, world_size=world_size)
        ]
        for rank in range(world_size)
    ]


def global_batches(ranks: list[list[HostBatch]]) -> list[tuple[str, int, list[str]]]:
    """(split, step, ids that count) of each global batch, the same whatever the number of ranks."""
    result = []
    for parts in zip(*ranks, strict=True):
        ids = [i for part in parts for i, w in zip(part.sample_ids, part.weights, strict=True) if w > 0]
        result.append((parts[0].split, parts[0].step, ids))
    return result


@pytest.mark.parametrize("world_size", [1, 2, 3, 4])
def test_epoch_any_world_size_sees_every_sample_once(packed, world_size):
    plan = plan_of(packed)
    batches = global_batches(read_epoch(plan, 0, world_size))
    for split, rows in (("train", 23), ("val", 7)):
        ids = [i for name, _, part in batches if name == split for i in part]
        assert sorted(ids) == sorted(f"{split}-{index}" for index in range(rows))


@pytest.mark.parametrize("world_size", [2, 4])
def test_training_batches_do_not_depend_on_the_world_size(packed, world_size):
    plan = plan_of(packed)
    one, several = read_epoch(plan, 1, 1)[0], read_epoch(plan, 1, world_size)
    for step in range(plan.train_steps):
        pixels = np.concatenate([rank[step].images[rank[step].weights > 0] for rank in several])
        assert np.array_equal(pixels, one[step].images)


def test_epoch_resumed_in_the_middle_continues_with_the_next_batch(packed):
    plan = plan_of(packed)
    whole, rest = read_epoch(plan, 1, 2), read_epoch(plan, 1, 2, first_step=3)
    assert global_batches(rest) == global_batches(whole)[3:]


def test_epochs_differ_in_order(packed):
    plan = plan_of(packed)
    first, second = (global_batches(read_epoch(plan, epoch, 1)) for epoch in (0, 1))
    assert first != second


def test_crop_smaller_than_the_samples_depends_on_the_position_only(packed):
    plan = plan_of(packed, crop=(8, 8))
    one, two = read_epoch(plan, 0, 1)[0], read_epoch(plan, 0, 2)
    assert one[0].images.shape == (4, 8, 8, 1)
    assert np.array_equal(np.concatenate([rank[0].images for rank in two]), one[0].images)


def test_crop_on_foreground_is_the_same_for_any_world_size_and_after_a_resume(packed):
    plan = plan_of(packed, crop=(6, 6), foreground=0.6)
    one, two = read_epoch(plan, 0, 1)[0], read_epoch(plan, 0, 2, first_step=2)
    for step in (2, 3, 4):
        masks = np.concatenate([rank[step - 2].masks for rank in two])
        assert np.array_equal(masks, one[step].masks)
    ids = [part for _, _, part in global_batches([one])[: plan.train_steps]]
    assert ids == [
        part for _, _, part in global_batches(read_epoch(plan_of(packed), 0, 1))[: plan.train_steps]
    ]


def test_crop_larger_than_the_samples_pads_with_ignored_pixels(packed):
    batch = read_epoch(plan_of(packed, crop=(32, 32)), 0, 1)[0][0]
    assert batch.images.shape == (4, 32, 32, 1)
    assert (batch.masks == IGNORE).sum() == 4 * (32 * 32 - SIDE_PX * SIDE_PX)


def test_batch_through_arrow_is_unchanged_and_not_copied(packed):
    batch = read_epoch(plan_of(packed), 0, 2)[1][0]
    table = batch.to_table()
    back = HostBatch.from_table(table, 0)
    assert np.array_equal(back.images, batch.images)
    assert np.array_equal(back.masks, batch.masks)
    assert back.sample_ids == batch.sample_ids
    assert np.array_equal(back.positions, batch.positions)
    assert not back.images.flags.owndata


def test_shard_with_a_flipped_byte_is_never_used(tmp_path):
    manifest = write_dataset(tmp_path, {"train": 6})
    shard = tmp_path / manifest.splits["train"].shards[0].name
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(bytes(data))
    plan = plan_of((tmp_path, manifest), validate_every=5, epochs=1)
    with pytest.raises(CorruptionError, match="sha256"):
        read_epoch(plan, 0, 1)
