"""One shard from storage, whole and verified, before anything looks inside it.

A large object comes in ranges side by side: one stream of an object store gives about 90 MB/s.
"""

import hashlib
import logging
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache

from unetpp.core.errors import CorruptionError
from unetpp.core.manifest import ShardInfo
from unetpp.core.storage import Storage
from unetpp.data.dataset.quarantine import Quarantine

__all__ = ["FETCHES", "fetch_shard"]

logger = logging.getLogger(__name__)

FETCHES = 3
"""How often a shard is fetched whose bytes differ from their digest."""
_PART_BYTES = 16 * 2**20
_PARTS_IN_FLIGHT = 8
"""Over the whole process: with parts of 16 MiB at most 128 MiB are under way."""


def fetch_shard(storage: Storage, shard: ShardInfo, quarantine: Quarantine | None = None) -> bytearray:
    """The shard's bytes, whose sha256 is the manifest's; each request repeats until the storage's deadline.

    Raises:
        CorruptionError: the shard is missing, or differs from its digest after every fetch.
        StorageError: the storage refuses, or fails beyond its deadline.
    """
    if quarantine is not None and quarantine.holds(shard):
        raise _corrupt(storage, shard, "is in quarantine")
    data = bytearray()
    for attempt in range(1, FETCHES + 1):
        try:
            data, digest = _fetch(storage, shard)
        except FileNotFoundError as error:
            raise CorruptionError(
                f"shard {shard.name} is missing at {storage.uri}; restore it or pack the dataset again"
            ) from error
        if digest == shard.sha256:
            return data
        logger.warning("shard %s: sha256 differs, fetch %d of %d", shard.name, attempt, FETCHES)
    if quarantine is not None:
        quarantine.keep(shard, data)
    raise _corrupt(storage, shard, "differs from its sha256")


def _corrupt(storage: Storage, shard: ShardInfo, what: str) -> CorruptionError:
    return CorruptionError(
        f"shard {shard.name} at {storage.uri} {what} after {FETCHES} fetches; "
        "restore it from a copy or pack the dataset again"
    )


def _fetch(storage: Storage, shard: ShardInfo) -> tuple[bytearray, str]:
    """All bytes and their sha256; bytes that the object lacks stay zero."""
    # A mapped local file could change between the check and the use of its bytes: it is read too.
    data, failed = bytearray(shard.bytes), threading.Event()
    futures = [
        _pool().submit(
            _fill, storage, shard.name, memoryview(data)[start : start + _PART_BYTES], start, failed
        )
        for start in range(0, shard.bytes, _PART_BYTES)
    ]
    digest = hashlib.sha256()
    try:
        for index, future in enumerate(futures):
            future.result()
            # In order, while later parts still travel.
            digest.update(memoryview(data)[index * _PART_BYTES : (index + 1) * _PART_BYTES])
    except BaseException:
        failed.set()
        _abandon(futures)
        raise
    return data, digest.hexdigest()


def _fill(storage: Storage, name: str, part: memoryview, start: int, failed: threading.Event) -> None:
    if not failed.is_set():
        received = storage.read_range(name, start, start + len(part))
        part[: len(received)] = received


def _abandon(futures: list[Future[None]]) -> None:
    for future in futures:
        future.cancel()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_PARTS_IN_FLIGHT, thread_name_prefix="fetch")
