"""The SQLite file of a sweep whose folder is not local: the driver's own, and copies for those who read.

SQLite needs a local file. The driver of such a sweep keeps one of its own and publishes snapshots of it as
`study.db` in the sweep's folder (see publish.py). What is published is the truth: a resume starts from it.
"""

import functools
import hashlib
import sqlite3
import tempfile
import threading
from contextlib import closing
from pathlib import Path

from unetpp.core.local_folders import cache_folder
from unetpp.core.storage import Storage

__all__ = ["STUDY_FILE", "driver_file", "fetch", "reader_file", "snapshot"]

STUDY_FILE = "study.db"
_LOCK_WAIT_S = 60.0

_reading = threading.Lock()
_stamps: dict[str, str] = {}
"""By the sweep's URI: which state of the published file the copy holds."""


def driver_file(folder: Storage) -> Path:
    """Where the driver of a sweep keeps its study: in the folder itself where that is local."""
    if folder.is_local:
        return folder.local_path(STUDY_FILE)
    return cache_folder() / "studies" / _digest(folder) / STUDY_FILE


def fetch(folder: Storage) -> Path:
    """Replace the driver's file by the published one and return it; absent where nothing was published."""
    file = driver_file(folder)
    if folder.is_local:
        return file
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in (file.name, f"{file.name}-journal"):
        file.with_name(name).unlink(missing_ok=True)
    if folder.exists(STUDY_FILE):
        folder.get(STUDY_FILE, file)
    return file


def reader_file(folder: Storage) -> Path:
    """A file with the published study, brought up to date in place; it need not exist."""
    if folder.is_local:
        return folder.local_path(STUDY_FILE)
    with _reading:
        copy = Path(_copies_folder().name) / f"{_digest(folder)}.db"
        if not folder.exists(STUDY_FILE):
            return copy
        stamp = folder.stamp(STUDY_FILE)
        if _stamps.get(folder.uri) != stamp:
            with tempfile.TemporaryDirectory(dir=copy.parent) as fresh:
                folder.get(STUDY_FILE, Path(fresh) / STUDY_FILE)
                # Through SQLite: whoever has the copy open sees the old or the new state.
                snapshot(Path(fresh) / STUDY_FILE, copy)
            _stamps[folder.uri] = stamp
        return copy


def snapshot(source: Path, target: Path) -> None:
    """Copy an SQLite database that others may be writing to, as of one moment."""
    with (
        closing(sqlite3.connect(source, timeout=_LOCK_WAIT_S)) as read,
        closing(sqlite3.connect(target, timeout=_LOCK_WAIT_S)) as written,
    ):
        read.backup(written)


def _digest(folder: Storage) -> str:
    return hashlib.sha256(folder.uri.encode()).hexdigest()[:16]


@functools.cache
def _copies_folder() -> tempfile.TemporaryDirectory[str]:
    """Of this process; deleted with it."""
    return tempfile.TemporaryDirectory(prefix="unetpp-studies-")
