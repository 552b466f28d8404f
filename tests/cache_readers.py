"""What the other processes of a machine do with its shard cache."""

import os
import signal
from pathlib import Path

from unetpp.core.storage import open_storage
from unetpp.data.cache import entry as cache_entry
from unetpp.data.cache.counts import CacheCounts
from unetpp.data.cache.reader import ShardReader
from unetpp.data.cache.shard_cache import ShardCache
from unetpp.data.dataset.manifests import load_manifest

ROOMY = 2**30


def read_everything(uri: str, folder: Path) -> CacheCounts:
    """Read every training shard through the cache."""
    storage = open_storage(uri)
    manifest = load_manifest(storage)
    reader = ShardReader(storage, manifest, ShardCache(folder, ROOMY))
    return reader.read_all(manifest.splits["train"].shards).counts


def die_while_writing(uri: str, folder: Path) -> None:
    """Like `read_everything`, but killed in the middle of the first entry."""

    class Deadly(cache_entry._Summed):
        def write(self, data: bytes) -> int:
            if self.crc32:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().write(data)

    cache_entry._Summed = Deadly  # type: ignore[misc]
    read_everything(uri, folder)
