"""Several processes, one cache; whoever dies or changes the dataset, a run reads each sample once."""

import multiprocessing
import shutil
import signal
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor

import pytest

from cache_readers import ROOMY, die_while_writing, read_everything
from fakes import SIDE_PX, read_unit, write_dataset
from unetpp.core.manifest import Manifest
from unetpp.core.storage import Storage
from unetpp.data.dataset.manifests import commit_manifest, load_manifest
from unetpp.data.stream.batch import HostBatch
from unetpp.data.stream.stream_plan import StreamPlan, epoch_units

SPAWN = multiprocessing.get_context("spawn")


def plan_of(uri: str, manifest: Manifest, folder, cache_bytes: int = ROOMY) -> StreamPlan:
    return StreamPlan(
        uri=uri, manifest=manifest, batch_size=4, crop=(SIDE_PX, SIDE_PX), foreground=0.0,
        epochs=2, validate_every=9, seed=0,
        window_bytes=3000, drop_last=False, reading_tasks=1, cache_bytes=cache_bytes, cache_dir=str(folder),
    )  # fmt: skip


def read_epoch(plan: StreamPlan, epoch: int) -> list[tuple[str, bytes]]:
    """(id, pixels) of every sample, in order."""
    units = epoch_units(plan, epoch, world_size=1)
    return [sample for unit in units for sample in samples_of(read_unit(plan, unit, rank=0, world_size=1))]


def samples_of(batches: Iterable[HostBatch]) -> list[tuple[str, bytes]]:
    return [(i, image.tobytes()) for b in batches for i, image in zip(b.sample_ids, b.images, strict=True)]


@pytest.mark.s3
def test_two_processes_download_each_shard_once(s3_server, proxy, tmp_path):
    uri = f"{s3_server.new_bucket()}/data"
    shards = write_dataset(uri, {"train": 40}).splits["train"].shards
    with ProcessPoolExecutor(2, mp_context=SPAWN) as pool:
        counts = list(pool.map(read_everything, [uri] * 2, [tmp_path / "cache"] * 2))
    assert len(proxy.gets) == len(set(proxy.gets)) == len(shards)
    assert [c.hits + c.misses for c in counts] == [len(shards)] * 2
    assert sum(c.misses for c in counts) == len(shards)
    assert sum(c.bytes_fetched for c in counts) == sum(shard.bytes for shard in shards)


@pytest.mark.slow
def test_process_killed_while_writing_leaves_nothing_in_the_way(tmp_path):
    uri, folder = str(tmp_path / "data"), tmp_path / "cache"
    manifest = write_dataset(uri, {"train": 15})
    process = SPAWN.Process(target=die_while_writing, args=(uri, folder))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert list((folder / "entries").glob("*.writing"))
    assert not list((folder / "entries").glob("*.arrow"))
    assert read_everything(uri, folder).misses == len(manifest.splits["train"].shards)
    assert not list((folder / "entries").glob("*.writing"))
    assert read_everything(uri, folder).misses == 0


@pytest.mark.parametrize("cache_bytes", [0, 12_000, ROOMY], ids=["none", "part", "all"])
def test_epoch_is_the_same_with_and_without_cache(tmp_path, cache_bytes):
    uri = str(tmp_path / "data")
    manifest = write_dataset(uri, {"train": 23})
    plan = plan_of(uri, manifest, tmp_path / f"cache-{cache_bytes}", cache_bytes)
    plain = plan_of(uri, manifest, "", cache_bytes=0)
    for epoch in (0, 1, 1):
        assert read_epoch(plan, epoch) == read_epoch(plain, epoch)


@pytest.mark.s3
@pytest.mark.parametrize("fault", ["503", "truncate", "flip"])
def test_epoch_with_faults_holds_every_sample_once(s3_server, proxy, tmp_path, fault):
    uri = f"{s3_server.new_bucket()}/data"
    manifest = write_dataset(uri, {"train": 23})
    proxy.fail(fault, times=2)
    samples = read_epoch(plan_of(uri, manifest, tmp_path / "cache"), 0)
    assert sorted(i for i, _ in samples) == sorted(f"train-{index}" for index in range(23))
    assert samples == read_epoch(plan_of(uri, manifest, "", cache_bytes=0), 0)


def test_cache_deleted_while_reading_is_filled_again(tmp_path):
    uri, folder = str(tmp_path / "data"), tmp_path / "cache"
    plan = plan_of(uri, write_dataset(uri, {"train": 23}), folder)
    expected, found = read_epoch(plan, 0), []
    for unit in epoch_units(plan, 0, world_size=1):
        for batch in read_unit(plan, unit, rank=0, world_size=1):
            shutil.rmtree(folder, ignore_errors=True)
            found += samples_of([batch])
    assert found == expected


def test_manifest_replaced_while_reading_changes_nothing_for_the_run(tmp_path):
    uri = str(tmp_path / "data")
    plan = plan_of(uri, write_dataset(uri, {"train": 23}), tmp_path / "cache")
    expected = read_epoch(plan, 1)
    found = []
    for index, unit in enumerate(epoch_units(plan, 1, world_size=1)):
        if index == 1:
            newer = load_manifest(Storage(uri)).model_copy(update={"version": "00002", "splits": {}})
            commit_manifest(Storage(uri), newer)
        found += samples_of(read_unit(plan, unit, rank=0, world_size=1))
    assert load_manifest(Storage(uri)).version == "00002"
    assert found == expected


def test_counts_of_an_epoch_tell_fetched_and_saved_bytes(tmp_path):
    uri = str(tmp_path / "data")
    manifest = write_dataset(uri, {"train": 23})
    plan = plan_of(uri, manifest, tmp_path / "cache")
    total = sum(shard.bytes for shard in manifest.splits["train"].shards)
    for fetched, saved in ((total, 0), (0, total)):
        units = list(epoch_units(plan, 0, world_size=1))
        counts = [b.counts for unit in units for b in read_unit(plan, unit, rank=0, world_size=1)]
        assert sum(c.bytes_fetched for c in counts) == fetched
        assert sum(c.bytes_saved for c in counts) >= saved
