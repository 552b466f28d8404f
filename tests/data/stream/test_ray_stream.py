"""Batches through Ray Data are those of reading directly, whichever way their pixels take."""

import threading

import pytest

from fakes import SIDE_PX, read_unit, write_dataset
from unetpp.core.errors import CorruptionError
from unetpp.core.manifest import Manifest
from unetpp.data.cache.counts import NO_COUNTS
from unetpp.data.stream import ray_stream
from unetpp.data.stream.batch import HostBatch
from unetpp.data.stream.ray_stream import stream_batches
from unetpp.data.stream.stream_plan import Position, StreamPlan, epoch_units

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster"), pytest.mark.timeout(400)]

ROOMY, PART = 2**30, 12_000


@pytest.fixture(autouse=True)
def streamed(monkeypatch):
    """Datasets as small as these are read by the worker itself."""
    monkeypatch.setattr(ray_stream, "_SMALL_BYTES", 0)


@pytest.fixture
def no_execution(monkeypatch):
    def refuse(*_args: object, **_options: object) -> None:
        raise AssertionError("Ray Data was started")

    monkeypatch.setattr("ray.data.from_items", refuse)


def plan_of(uri: str, manifest: Manifest, folder, cache_bytes: int) -> StreamPlan:
    return StreamPlan(
        uri=uri, manifest=manifest, batch_size=4, crop=(SIDE_PX, SIDE_PX), foreground=0.0,
        epochs=3, validate_every=1, seed=0,
        window_bytes=3000, drop_last=False, reading_tasks=2, cache_bytes=cache_bytes, cache_dir=str(folder),
    )  # fmt: skip


def described(batch: HostBatch) -> tuple:
    pixels = (batch.images.tobytes(), batch.masks.tobytes(), batch.weights.tolist())
    return (batch.split, batch.epoch, batch.step, batch.global_size, batch.sample_ids, *pixels)


def threads() -> set[threading.Thread]:
    """But one that Ray Data leaves parked after every execution, even one that was read to its end."""
    return {thread for thread in threading.enumerate() if thread.name != "Prefetcher"}


def assert_ended(left: set[threading.Thread]) -> None:
    for thread in left:
        thread.join(30)  # of an execution that was shut down, they end by themselves
        assert not thread.is_alive(), thread.name


def read_directly(plan: StreamPlan, rank: int) -> list[tuple]:
    return [
        described(batch)
        for epoch in range(plan.epochs)
        for unit in epoch_units(plan, epoch, world_size=2)
        for batch in read_unit(plan, unit, rank=rank, world_size=2)
    ]


@pytest.mark.parametrize("cache_bytes", [0, PART, ROOMY], ids=["none", "part", "all"])
def test_stream_gives_the_batches_of_reading_directly(tmp_path, cache_bytes):
    uri = str(tmp_path / "data")
    manifest = write_dataset(uri, {"train": 23, "val": 5})
    plan = plan_of(uri, manifest, tmp_path / "cache", cache_bytes)
    counts = NO_COUNTS
    for rank in (0, 1):
        batches = list(stream_batches(plan, rank=rank, world_size=2, start=Position()))
        counts += sum((batch.counts for batch in batches), NO_COUNTS)
        assert [described(b) for b in batches] == read_directly(plan_of(uri, manifest, "", 0), rank)
    every = [shard for split in manifest.splits.values() for shard in split.shards]
    if cache_bytes == ROOMY:
        assert (counts.misses, counts.bytes_fetched) == (len(every), sum(shard.bytes for shard in every))
    elif cache_bytes == 0:
        assert (counts.hits, counts.bytes_saved) == (0, 0)
    else:
        assert 0 < counts.hits < counts.misses


def test_stream_of_a_cached_dataset_starts_no_execution(tmp_path, request):
    uri = str(tmp_path / "data")
    plan = plan_of(uri, write_dataset(uri, {"train": 23, "val": 5}), tmp_path / "cache", ROOMY)
    first = list(stream_batches(plan, rank=0, world_size=1, start=Position()))
    request.getfixturevalue("no_execution")
    again = list(stream_batches(plan, rank=0, world_size=1, start=Position()))
    assert [described(batch) for batch in again] == [described(batch) for batch in first]


def test_stream_of_a_small_dataset_starts_no_execution_and_fetches_each_shard_once(
    tmp_path, monkeypatch, no_execution
):
    monkeypatch.setattr(ray_stream, "_SMALL_BYTES", 2**20)
    uri = str(tmp_path / "data")
    manifest = write_dataset(uri, {"train": 23, "val": 5})
    plan = plan_of(uri, manifest, tmp_path / "cache", ROOMY)
    counts = NO_COUNTS
    for rank in (0, 1):
        batches = list(stream_batches(plan, rank=rank, world_size=2, start=Position()))
        counts += sum((batch.counts for batch in batches), NO_COUNTS)
        assert [described(batch) for batch in batches] == read_directly(plan_of(uri, manifest, "", 0), rank)
    assert counts.misses == len(plan.shards)


@pytest.mark.parametrize("cache_bytes", [0, ROOMY])
def test_stream_of_a_damaged_shard_ends_in_a_typed_error(tmp_path, cache_bytes):
    uri = str(tmp_path / "data")
    manifest = write_dataset(uri, {"train": 23})
    shard = manifest.splits["train"].shards[2]
    path = tmp_path / "data" / shard.name
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    plan = plan_of(uri, manifest, tmp_path / "cache", cache_bytes)
    with pytest.raises(CorruptionError, match=f"^shard {shard.name}.*3 fetches") as raised:
        list(stream_batches(plan, rank=0, world_size=1, start=Position()))
    assert type(raised.value) is CorruptionError


@pytest.mark.parametrize("taken", [0, 1, 8], ids=["none", "first", "streamed"])
def test_stream_closed_early_leaves_no_thread(tmp_path, taken):
    uri = str(tmp_path / "data")
    plan = plan_of(uri, write_dataset(uri, {"train": 23, "val": 5}), tmp_path / "cache", 0)
    before = threads()
    batches = stream_batches(plan, rank=0, world_size=1, start=Position())
    for _ in range(taken):
        next(batches)
    batches.close()
    assert_ended(threads() - before)


def test_stream_whose_first_unit_fails_leaves_no_thread(tmp_path):
    uri = str(tmp_path / "data")
    manifest = write_dataset(uri, {"train": 23})
    plan = plan_of(uri, manifest, tmp_path / "cache", 0)
    for shard in manifest.splits["train"].shards:
        (tmp_path / "data" / shard.name).unlink()
    before = threads()
    with pytest.raises(CorruptionError, match="is missing"):
        next(stream_batches(plan, rank=0, world_size=1, start=Position()))
    assert_ended(threads() - before)
