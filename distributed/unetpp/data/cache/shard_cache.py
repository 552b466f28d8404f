"""Shards decoded once for all workers and all trials of a machine, as memory-mapped Arrow files.

    entries/<sha256>.arrow     a shard (see entry.py); its modification time is its last use
    entries/<sha256>.writing   a shard being written by the holder of its lock, or left by a killed one
    locks/<xxx>                locks of the shards whose sha256 starts so; `room` guards the total size
    quarantine/                bytes that never matched their digest

Everything here can be deleted at any time: a mapped file stays readable, and what is gone is fetched again.
"""

import contextlib
import logging
import os
import shutil
import time
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
from filelock import FileLock, Timeout

from unetpp.core.errors import ConfigError
from unetpp.core.local_folders import cache_folder
from unetpp.data.cache.entry import is_intact, map_entry, parse_entry, write_entry
from unetpp.data.cache.eviction import Entry, evictions, idle_excess

__all__ = ["ShardCache", "open_cache"]

logger = logging.getLogger(__name__)

_SUFFIX, _WRITING = ".arrow", ".writing"
_LOCK_DIGITS = 3
"""At most 4096 lock files; two shards that share one wait for each other, nothing worse."""
_ROOM_DEADLINE_S = 10.0
_FREE_SHARE = 0.05
_FREE_BYTES = 2**30
"""Disk left to others: this or 5 % of the disk, whichever is less."""


class ShardCache:
    """The cache in `folder`; any number of objects and processes share one.

    `deadline_s` bounds the wait for another process that fetches the same shard.

    Raises:
        ConfigError: the folder cannot be created or is another user's.
    """

    def __init__(self, folder: Path, limit_bytes: int, *, deadline_s: float = 300.0) -> None:
        self.folder, self.limit_bytes = folder, limit_bytes
        self._deadline_s = deadline_s
        self._verified: set[tuple[str, int]] = set()
        self._is_full = False
        self._entries, self._locks = folder / "entries", folder / "locks"
        self._make_folders()
        self._tidy()

    def get(self, key: str) -> pa.Table | None:
        """The entry as views of mapped memory, or None; marks it as used just now.

        The first time an object sees a file it checks every byte; a bad one is dropped.
        """
        path = self._path(key)
        try:
            os.utime(path)
            mapped, identity = map_entry(path), (key, path.stat().st_ino)
        except (OSError, pa.ArrowInvalid):  # evicted meanwhile, or empty
            return None
        if identity not in self._verified:
            if not is_intact(mapped):
                logger.warning("cache entry %s is damaged; the shard is fetched again", path)
                path.unlink(missing_ok=True)
                return None
            self._verified.add(identity)
        return parse_entry(mapped)

    @contextlib.contextmanager
    def lock(self, key: str) -> Iterator[bool]:
        """The right to fetch and `put` this entry; False if another kept it too long or locks fail."""
        locked = False
        with contextlib.ExitStack() as stack:
            try:
                self._make_folders()  # someone may have deleted them to free the disk
                lock = _file_lock(self._locks / key[:_LOCK_DIGITS], self._deadline_s)
                locked = stack.enter_context(lock)
            except (OSError, ConfigError) as error:
                self._give_up(str(error))
            yield locked

    def put(
        self, key: str, tables: Iterable[pa.Table], size_bytes: int, members: Collection[str]
    ) -> pa.Table | None:
        """Store verified tables, of about that size together, under their lock; the entry, if taken in.

        What does not fit, and a disk that is full, leave the cache as it is, and the tables perhaps unread.
        """
        path, writing = self._path(key), self._path(key).with_suffix(_WRITING)
        try:
            if self._is_full or self._victims(size_bytes, members) is None:
                return None
            self._leave_disk(size_bytes)
            write_entry(writing, tables)
            identity = (key, writing.stat().st_ino)
            if not self._admit(writing, path, members):
                return None
            self._verified.add(identity)
            return self.get(key)
        except OSError as error:
            self._give_up(error.strerror or str(error))
            return None
        finally:
            with contextlib.suppress(OSError):
                writing.unlink(missing_ok=True)

    def entries(self) -> list[Entry]:
        """What the cache holds."""
        return list(self._scan())

    def _give_up(self, cause: str) -> None:
        """Stop storing; what is stored already is still read."""
        if not self._is_full:
            logger.warning(
                "no more shards are cached in %s: %s; free some space or set data.cache_dir",
                *(self.folder, cause),
            )
        self._is_full = True

    def _make_folders(self) -> None:
        _claim(self.folder)
        for folder in (self._entries, self._locks):
            folder.mkdir(exist_ok=True)

    def _admit(self, writing: Path, path: Path, members: Collection[str]) -> bool:
        # Others may have filled the room meanwhile; under this lock the total never passes the limit.
        with _file_lock(self._locks / "room", _ROOM_DEADLINE_S) as locked:
            victims = self._victims(writing.stat().st_size, members) if locked else None
            if victims is None:
                return False
            self._evict(victims)
            writing.replace(path)
        return True

    def _victims(self, incoming_bytes: int, members: Collection[str]) -> tuple[Entry, ...] | None:
        return evictions(
            self.entries(), incoming_bytes, limit_bytes=self.limit_bytes, members=members, now_s=time.time()
        )

    def _evict(self, victims: tuple[Entry, ...]) -> None:
        for entry in victims:
            self._path(entry.key).unlink(missing_ok=True)
        if victims:
            logger.info("evicted %d cache entries", len(victims))

    def _tidy(self) -> None:
        """Delete what killed writers left, and what a lowered limit has no room for."""
        for path in self._entries.glob(f"*{_WRITING}"):
            with _file_lock(self._locks / path.stem[:_LOCK_DIGITS], 0.0) as locked:
                if locked:
                    path.unlink(missing_ok=True)
        self._evict(idle_excess(self.entries(), limit_bytes=self.limit_bytes, now_s=time.time()))

    def _leave_disk(self, incoming_bytes: int) -> None:
        disk = shutil.disk_usage(self._entries)
        left = min(_FREE_BYTES, int(disk.total * _FREE_SHARE))
        if disk.free - incoming_bytes < left:
            raise OSError(f"{disk.free} bytes are free, of which {left} are left to others")

    def _scan(self) -> Iterator[Entry]:
        with os.scandir(self._entries) as found:
            for item in found:
                if item.name.endswith(_SUFFIX):
                    with contextlib.suppress(FileNotFoundError):  # evicted meanwhile
                        stat = item.stat()
                        yield Entry(item.name.removesuffix(_SUFFIX), stat.st_size, stat.st_mtime)

    def _path(self, key: str) -> Path:
        return self._entries / f"{key}{_SUFFIX}"


@lru_cache(maxsize=8)
def open_cache(configured: str, limit_bytes: int) -> ShardCache | None:
    """This process's cache; None, with a warning, where its folder cannot be used."""
    try:
        return ShardCache(cache_folder(configured), limit_bytes)
    except (ConfigError, OSError) as error:
        logger.warning("shards are not cached: %s", error)
        return None


@contextlib.contextmanager
def _file_lock(path: Path, deadline_s: float) -> Iterator[bool]:
    """Hold the file's `flock`; False, and no lock, if others held it until the deadline.

    The kernel frees the lock of a process that ends, however it ends; a soft lock would stay.
    """
    try:
        lock = FileLock(path, timeout=deadline_s, mode=0o600, fallback_to_soft=False).acquire()
    except Timeout:
        yield False
        return
    with lock:
        yield True


def _claim(folder: Path) -> None:
    """Create the folder for this user alone, or check that it is."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = folder.lstat()
    except OSError as error:
        raise ConfigError(
            f"data.cache_dir={folder} cannot be created: {error.strerror}; name another folder"
        ) from error
    # Entries are mapped and trusted: nobody else may be able to place one.
    if folder.is_symlink() or owner.st_uid != os.getuid() or owner.st_mode & 0o022:
        raise ConfigError(
            f"data.cache_dir={folder} must be a folder that only you can write to; name another folder"
        )
