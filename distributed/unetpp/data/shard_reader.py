"""Verified tables of a dataset's shards, from the machine's cache where it holds them."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa

from unetpp.core.manifest import Manifest, ShardInfo
from unetpp.core.storage import Storage
from unetpp.data.cache import ShardCache
from unetpp.data.cache_counts import CacheCounts
from unetpp.data.fetch import fetch_shard
from unetpp.data.quarantine import Quarantine
from unetpp.data.shards import parse_shard

__all__ = ["ShardReader"]

_PARALLEL_SHARDS = 4


class ShardReader:
    """Reads shards of one version of a dataset; `cache=None` fetches every time."""

    def __init__(self, storage: Storage, manifest: Manifest, cache: ShardCache | None) -> None:
        self._storage, self._cache = storage, cache
        # Full, the cache keeps what it has of this dataset instead of exchanging it (see cache_policy.py).
        self._members = frozenset(
            shard.sha256 for split in manifest.splits.values() for shard in split.shards
        )
        self._quarantine = Quarantine(cache.folder / "quarantine") if cache is not None else None

    def read_all(self, shards: Sequence[ShardInfo]) -> tuple[list[pa.Table], CacheCounts]:
        """Read several shards side by side.

        Raises:
            CorruptionError: a shard is missing, or differs from its digest after every fetch.
            StorageError: the storage refuses, or fails beyond its deadline.
        """
        with ThreadPoolExecutor(_PARALLEL_SHARDS) as pool:
            results = list(pool.map(self.read, shards))
        return [table for table, _ in results], sum((counts for _, counts in results), CacheCounts())

    def read(self, shard: ShardInfo) -> tuple[pa.Table, CacheCounts]:
        """Read one shard; see `read_all`."""
        if self._cache is None:
            return self._fetch(shard), CacheCounts(misses=1, bytes_fetched=shard.bytes)
        table = self._cache.get(shard.sha256)
        if table is not None:
            return table, CacheCounts(hits=1, bytes_saved=shard.bytes)
        return self._read_through(self._cache, shard)

    def _read_through(self, cache: ShardCache, shard: ShardInfo) -> tuple[pa.Table, CacheCounts]:
        started_s = time.perf_counter()
        with cache.lock(shard.sha256) as locked:
            waited_s = time.perf_counter() - started_s
            # Whoever held the lock before may have fetched this shard for us.
            table = cache.get(shard.sha256)
            if table is not None:
                return table, CacheCounts(hits=1, bytes_saved=shard.bytes, wait_s=waited_s)
            table = self._fetch(shard)
            if locked:
                cache.put(shard.sha256, table, self._members)
        return table, CacheCounts(misses=1, bytes_fetched=shard.bytes, wait_s=waited_s)

    def _fetch(self, shard: ShardInfo) -> pa.Table:
        return parse_shard(fetch_shard(self._storage, shard, self._quarantine), shard)
