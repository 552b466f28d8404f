"""Verified tables of a dataset's shards, from the machine's cache where it holds them."""

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa

from unetpp.core.manifest import Manifest, ShardInfo
from unetpp.core.storage import Storage
from unetpp.data.cache.counts import NO_COUNTS, CacheCounts
from unetpp.data.cache.shard_cache import ShardCache
from unetpp.data.dataset.fetch import fetch_shard
from unetpp.data.dataset.parquet import iter_row_groups, parse_shard
from unetpp.data.dataset.quarantine import Quarantine

__all__ = ["ShardReader", "ShardTables"]

_PARALLEL_SHARDS = 4


@dataclass(frozen=True)
class ShardTables:
    """Several shards, in the order asked for."""

    tables: tuple[pa.Table, ...]
    counts: CacheCounts
    in_cache: bool
    """Whether the cache now holds all of them."""


class ShardReader:
    """Reads shards of one version of a dataset; `cache=None` fetches every time."""

    def __init__(self, storage: Storage, manifest: Manifest, cache: ShardCache | None) -> None:
        self._storage, self._cache = storage, cache
        # Full, the cache keeps what it has of this dataset instead of exchanging it (see eviction.py).
        self._members = frozenset(
            shard.sha256 for split in manifest.splits.values() for shard in split.shards
        )
        self._quarantine = Quarantine(cache.folder / "quarantine") if cache is not None else None

    def read_all(self, shards: Sequence[ShardInfo]) -> ShardTables:
        """Read shards side by side.

        Raises:
            CorruptionError: a shard is missing, or differs from its digest after every fetch.
            StorageError: the storage refuses, or fails beyond its deadline.
        """
        with ThreadPoolExecutor(_PARALLEL_SHARDS) as pool:
            found = list(pool.map(self._read, shards))
        return ShardTables(
            tables=tuple(table for one in found for table in one.tables),
            counts=sum((one.counts for one in found), NO_COUNTS),
            in_cache=all(one.in_cache for one in found),
        )

    def caches(self, shards: Iterable[ShardInfo]) -> bool:
        """Whether the cache holds all of them now."""
        if self._cache is None:
            return False
        held = {entry.key for entry in self._cache.entries()}
        return all(shard.sha256 in held for shard in shards)

    def _read(self, shard: ShardInfo) -> ShardTables:
        if self._cache is None:
            return _missed(parse_shard(self._fetch(shard), shard), shard)
        table = self._cache.get(shard.sha256)
        return self._read_through(self._cache, shard) if table is None else _hit(table, shard)

    def _read_through(self, cache: ShardCache, shard: ShardInfo) -> ShardTables:
        started_s = time.perf_counter()
        with cache.lock(shard.sha256) as locked:
            waited_s = time.perf_counter() - started_s
            # Whoever held the lock before may have fetched this shard for us.
            table = cache.get(shard.sha256)
            if table is not None:
                return _hit(table, shard, waited_s)
            data = self._fetch(shard)
            if locked:
                # Row group by row group, so that a decoded shard takes no memory of its own.
                groups = iter_row_groups(data, shard)
                table = cache.put(shard.sha256, groups, shard.decoded_bytes, self._members)
        if table is not None:
            return _missed(table, shard, waited_s, in_cache=True)
        return _missed(parse_shard(data, shard), shard, waited_s)

    def _fetch(self, shard: ShardInfo) -> bytearray:
        return fetch_shard(self._storage, shard, self._quarantine)


def _hit(table: pa.Table, shard: ShardInfo, waited_s: float = 0.0) -> ShardTables:
    return ShardTables((table,), CacheCounts(hits=1, bytes_saved=shard.bytes, wait_s=waited_s), in_cache=True)


def _missed(
    table: pa.Table, shard: ShardInfo, waited_s: float = 0.0, *, in_cache: bool = False
) -> ShardTables:
    counts = CacheCounts(misses=1, bytes_fetched=shard.bytes, wait_s=waited_s)
    return ShardTables((table,), counts, in_cache)
