"""Source files and folders by URI: their bytes, or a path on this machine for libraries that need one."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from unetpp.core.errors import AccessError
from unetpp.core.storage import Storage, open_storage
from unetpp.data.images.pixels import PLAIN, Reading

__all__ = ["FileRef", "UnreadFileError", "local_path", "location", "read_file", "source_storage"]


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
