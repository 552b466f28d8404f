"""Source files and folders by URI: their bytes, or a path on this machine for libraries that need one."""

import hashlib
import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from unetpp.core.errors import AccessError
from unetpp.core.storage import Storage, open_storage
from unetpp.data.images.pixels import PLAIN, Reading

__all__ = [
    "FileRef",
    "UnreadFileError",
    "content_digest",
    "local_path",
    "location",
    "open_parts",
    "read_file",
    "source_storage",
]

_RANGE_BYTES = 2**18
"""Read at once of a file that is read by parts: little against a request's latency, much against a header."""
_HASHED_BYTES = 2**24


@dataclass(frozen=True, slots=True)
class FileRef:
    """One image or mask: the URI of its folder and the path below it."""

    root: str
    path: str
    members: tuple[str, ...] = ()
    """Paths of its files where `path` is a folder that is one image, such as a DICOM series or OME-Zarr."""
    reading: Reading = PLAIN
    """What the user has settled of what the file leaves open."""
    format: str = ""
    """Name of its format where the path's ending does not tell."""


class UnreadFileError(Exception):
    """A source file that is missing or refused; whether its storage still works is another question."""

    def __init__(self, ref: FileRef, reason: str) -> None:
        super().__init__(ref, reason)
        self.ref, self.reason = ref, reason


def location(ref: FileRef) -> str:
    """A source file as rejected.jsonl names it."""
    return f"{ref.root.rstrip('/')}/{ref.path}"


def read_file(ref: FileRef, limit_bytes: int | None = None) -> bytes:
    """Encoded bytes of a source file, all or the first ones.

    Raises:
        UnreadFileError: this one file is missing or refused.
        StorageError: its storage cannot be used: credential, endpoint, bucket, disk.
    """
    storage = source_storage(ref.root)
    try:
        return storage.read(ref.path) if limit_bytes is None else storage.read_range(ref.path, 0, limit_bytes)
    except (AccessError, FileNotFoundError) as error:
        raise UnreadFileError(ref, str(error)) from error


def open_parts(ref: FileRef) -> io.BufferedReader:
    """Open a file for reading by parts; from an object store only the parts that are asked for.

    Raises:
        UnreadFileError: it is missing or refused.
        StorageError: its storage cannot be used.
    """
    storage = source_storage(ref.root)
    if storage.is_local:
        try:
            return storage.local_path(ref.path).open("rb")
        except OSError as error:
            raise UnreadFileError(ref, str(error)) from error
    return io.BufferedReader(_Ranges(ref), _RANGE_BYTES)


def content_digest(ref: FileRef) -> bytes:
    """sha256 of a file that may be larger than memory; computed once for each state of the file.

    Raises:
        UnreadFileError: it is missing or refused.
        StorageError: its storage cannot be used.
    """
    storage = source_storage(ref.root)
    try:
        return _digest(ref, storage.stamp(ref.path))
    except (AccessError, FileNotFoundError) as error:
        raise UnreadFileError(ref, str(error)) from error


@lru_cache(maxsize=256)
def _digest(ref: FileRef, stamp: str) -> bytes:  # noqa: ARG001  # the stamp is what makes a result old
    digest = hashlib.sha256()
    with open_parts(ref) as file:
        while part := file.read(_HASHED_BYTES):
            digest.update(part)
    return digest.digest()


class _Ranges(io.RawIOBase):
    """An object of a store as a file whose parts are requested when read."""

    def __init__(self, ref: FileRef) -> None:
        self._ref, self._position = ref, 0
        try:
            self._size = source_storage(ref.root).size(ref.path)
        except (AccessError, FileNotFoundError) as error:
            raise UnreadFileError(ref, str(error)) from error

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        stop = min(self._position + len(buffer), self._size)
        if stop <= self._position:
            return 0
        try:
            data = source_storage(self._ref.root).read_range(self._ref.path, self._position, stop)
        except (AccessError, FileNotFoundError) as error:
            raise UnreadFileError(self._ref, str(error)) from error
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


@contextmanager
def local_path(ref: FileRef) -> Iterator[Path]:
    """The file or folder as a path on this machine: itself, or a copy that lives as long as the context.

    Raises:
        UnreadFileError: a file is missing or refused.
        StorageError: its storage cannot be used.
    """
    storage = source_storage(ref.root)
    if storage.is_local:
        for path in ref.members or (ref.path,):
            _require_readable(ref, storage.local_path(path))
        yield storage.local_path(ref.path)
        return
    with tempfile.TemporaryDirectory(prefix="unetpp-source-") as folder:
        for path in ref.members or (ref.path,):
            copy = Path(folder) / path
            copy.parent.mkdir(parents=True, exist_ok=True)
            try:
                storage.get(path, copy)
            except (AccessError, FileNotFoundError) as error:
                raise UnreadFileError(ref, str(error)) from error
        yield Path(folder) / ref.path


def _require_readable(ref: FileRef, path: Path) -> None:
    try:
        if not path.is_dir():
            path.open("rb").close()
    except (FileNotFoundError, PermissionError) as error:
        raise UnreadFileError(ref, str(error)) from error


@lru_cache(maxsize=16)
def source_storage(uri: str) -> Storage:
    """The storage of a source folder, opened once."""
    return open_storage(uri)
