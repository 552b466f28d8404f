"""Decoded once per machine; whatever happens to the files, a reader gets right bytes or none."""

import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pytest

from fakes import write_dataset
from unetpp.core.errors import ConfigError, CorruptionError
from unetpp.core.storage import Storage
from unetpp.data.cache import entry as cache_entry
from unetpp.data.cache.shard_cache import ShardCache, open_cache
from unetpp.data.dataset.parquet import read_shard

ROOMY = 2**30
Tables = list[tuple[str, pa.Table]]


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> Tables:
    """(digest, table) of five shards, each about 1.7 KiB decoded."""
    folder = tmp_path_factory.mktemp("dataset")
    shards = write_dataset(folder, {"train": 25}).splits["train"].shards
    return [(shard.sha256, read_shard(Storage(str(folder)), shard)) for shard in shards]


@pytest.fixture
def make_cache(tmp_path) -> Callable[..., ShardCache]:
    def make(limit_bytes: int = ROOMY, **options) -> ShardCache:
        return ShardCache(tmp_path / "cache", limit_bytes, **options)

    return make


def fill(cache: ShardCache, tables: Tables, members: Tables = ()) -> list[bool]:
    keys = {key for key, _ in members}
    return [cache.put(key, [table], table.nbytes, keys) is not None for key, table in tables]


def held(cache: ShardCache, tables: Tables) -> list[bool]:
    return [cache.get(key) is not None for key, _ in tables]


def room_for(count: float, tables: Tables, make_cache) -> int:
    cache = make_cache()
    fill(cache, tables[:1])
    entry_bytes = cache.entries()[0].bytes
    (cache.folder / "entries" / f"{tables[0][0]}.arrow").unlink()
    return int(count * entry_bytes)


def leave_unused(cache: ShardCache, tables: Tables, hours: float = 1) -> None:
    for key, _ in tables:
        moment_s = time.time() - hours * 3600
        os.utime(cache.folder / "entries" / f"{key}.arrow", (moment_s, moment_s))


def test_entry_is_the_table_as_views_of_the_file(make_cache, tables):
    cache, (key, table) = make_cache(), tables[0]
    assert cache.get(key) is None
    before = pa.total_allocated_bytes()
    parts = [table.slice(0, 2), table.slice(2)]
    stored = cache.put(key, parts, table.nbytes, ())
    found = cache.get(key)
    assert found.equals(table)
    assert stored.equals(table)
    assert pa.total_allocated_bytes() - before < table["image"].nbytes


def test_entry_whose_tables_end_in_an_error_is_not_there(make_cache, tables):
    cache, (key, table) = make_cache(), tables[0]

    def damaged() -> Iterator[pa.Table]:
        yield table.slice(0, 2)
        raise CorruptionError("no readable parquet file")

    with pytest.raises(CorruptionError):
        cache.put(key, damaged(), table.nbytes, ())
    assert list((cache.folder / "entries").iterdir()) == []


def test_entry_is_there_for_another_object_after_a_restart(make_cache, tables):
    fill(make_cache(), tables)
    assert all(held(make_cache(), tables))


@pytest.mark.parametrize("place", [0, 0.3, 0.6, 0.999])
def test_entry_with_a_flipped_byte_is_dropped(make_cache, tables, place):
    key, table = tables[0]
    make_cache().put(key, [table], table.nbytes, ())
    path = make_cache().folder / "entries" / f"{key}.arrow"
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 4
    path.write_bytes(data)
    assert make_cache().get(key) is None
    assert not path.exists()


@pytest.mark.parametrize("size", [0, 5, 1000])
def test_entry_cut_short_is_dropped(make_cache, tables, size):
    key, table = tables[0]
    make_cache().put(key, [table], table.nbytes, ())
    path = make_cache().folder / "entries" / f"{key}.arrow"
    path.write_bytes(path.read_bytes()[:size])
    assert make_cache().get(key) is None


def test_table_stays_readable_when_its_entry_is_deleted(make_cache, tables):
    cache, (key, table) = make_cache(), tables[0]
    cache.put(key, [table], table.nbytes, ())
    found = cache.get(key)
    (cache.folder / "entries" / f"{key}.arrow").unlink()
    assert found.equals(table)


def test_full_cache_keeps_its_part_of_the_dataset(make_cache, tables):
    """Two epochs over a dataset twice the cache: the second hits what fits, where LRU would hit nothing."""
    cache = make_cache(room_for(2.5, tables, make_cache))
    for hits in ([False] * 5, [True, True, False, False, False]):
        found = []
        for key, table in tables:
            found.append(cache.get(key) is not None)
            if not found[-1]:
                cache.put(key, [table], table.nbytes, {name for name, _ in tables})
        assert found == hits


def test_full_cache_gives_up_what_no_run_uses_the_oldest_first(make_cache, tables):
    cache = make_cache(room_for(3.5, tables, make_cache))
    old, new = tables[:3], tables[3:4]
    fill(cache, old)
    assert fill(cache, new, members=new) == [False]  # all of it was used just now
    leave_unused(cache, old, hours=1)
    leave_unused(cache, old[1:2], hours=2)
    assert fill(cache, new, members=new) == [True]
    assert held(cache, tables[:4]) == [True, False, True, True]


def test_reading_an_entry_makes_it_the_last_to_go(make_cache, tables):
    cache = make_cache(room_for(2.5, tables, make_cache))
    fill(cache, tables[:2])
    leave_unused(cache, tables[:2])
    leave_unused(cache, tables[:1], hours=2)
    assert held(make_cache(), tables[:1]) == [True]
    fill(cache, tables[2:3])
    assert held(cache, tables[:3]) == [True, False, True]


def test_entry_larger_than_the_limit_is_not_cached(make_cache, tables):
    cache = make_cache(100)
    assert fill(cache, tables) == [False] * 5
    assert cache.entries() == []


def test_lowered_limit_deletes_what_no_run_uses(make_cache, tables):
    limit_bytes = room_for(2.5, tables, make_cache)
    fill(make_cache(), tables)
    assert len(make_cache(limit_bytes).entries()) == 5  # a run may be reading them
    leave_unused(make_cache(), tables)
    assert len(make_cache(limit_bytes).entries()) == 2


def test_full_disk_goes_on_without_caching_and_says_so_once(make_cache, tables, monkeypatch, caplog):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    cache = make_cache()
    fill(cache, tables[:1])
    monkeypatch.setattr(cache_entry._Summed, "write", full)
    assert fill(cache, tables[1:]) == [False] * 4
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "data.cache_dir" in caplog.text
    assert held(cache, tables) == [True] + [False] * 4
    assert not list((cache.folder / "entries").glob("*.writing"))


def test_what_a_killed_writer_left_is_deleted_unless_someone_writes_it(make_cache, tables):
    cache, (dead, alive) = make_cache(), ("d" * 64, "a" * 64)
    for key in (dead, alive):
        (cache.folder / "entries" / f"{key}.writing").write_bytes(b"half")
    with cache.lock(alive) as locked:
        assert locked
        make_cache()
    assert [path.stem for path in (cache.folder / "entries").iterdir()] == [alive]


def test_lock_held_too_long_by_another_is_given_up(make_cache):
    with make_cache().lock("a" * 64) as first, make_cache(deadline_s=0.0).lock("a" * 64) as second:
        assert (first, second) == (True, False)


def test_folder_lost_for_good_goes_on_without_caching(make_cache, tables, tmp_path, caplog):
    cache = make_cache()
    shutil.rmtree(tmp_path / "cache")
    (tmp_path / "cache").write_text("a file where the folder was")
    with cache.lock("a" * 64) as locked:
        assert not locked
    assert cache.get("a" * 64) is None
    assert "no more shards are cached" in caplog.text


def test_folder_that_others_can_write_to_is_refused(tmp_path, make_cache, caplog):
    make_cache()
    (tmp_path / "cache").chmod(0o777)
    with pytest.raises(ConfigError, match="only you"):
        make_cache()
    assert open_cache(str(tmp_path / "cache"), ROOMY) is None
    assert "not cached" in caplog.text


def test_folder_is_closed_to_others(make_cache):
    assert make_cache().folder.stat().st_mode & 0o077 == 0


def test_reading_rows_of_an_entry_equals_the_table(make_cache, tables):
    cache, (key, table) = make_cache(), tables[0]
    cache.put(key, [table], table.nbytes, ())
    found = cache.get(key)
    for row in range(table.num_rows):
        assert np.array_equal(
            np.frombuffer(found["image"][row].as_buffer(), np.uint8),
            np.frombuffer(table["image"][row].as_buffer(), np.uint8),
        )
