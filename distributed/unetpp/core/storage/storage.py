"""Files under one root URI: a local folder, `s3://bucket/prefix` or any fsspec URI.

Local writes are temp + fsync + rename; an object store gets one PUT. Every operation repeats transient
errors until a deadline. A missing file is FileNotFoundError; all else that is refused is StorageError.
"""

import errno
import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Protocol, TypeVar
from urllib.parse import unquote, urlsplit

from unetpp.core.errors import StorageError
from unetpp.core.storage.failures import error_code, explain, is_transient
from unetpp.core.storage.local import LocalBackend
from unetpp.core.storage.retry import Retry

__all__ = ["PREFLIGHT_DEADLINE_S", "RETRY_DEADLINE_S", "Storage", "open_storage", "preflight"]

RETRY_DEADLINE_S = 120.0
PREFLIGHT_DEADLINE_S = 8.0

T = TypeVar("T")


class _Backend(Protocol):
    def exists(self, path: str) -> bool: ...
    def read(self, path: str) -> bytes: ...
    def read_range(self, path: str, start: int, stop: int) -> bytes: ...
    def size(self, path: str) -> int: ...
    def stamp(self, path: str) -> str: ...
    def write(self, path: str, data: bytes) -> None: ...
    def create(self, path: str, data: bytes) -> bool: ...
    def supports_create(self, root: str) -> bool: ...
    def upload(self, local_path: Path, path: str) -> None: ...
    def download(self, path: str, local_path: Path) -> None: ...
    def find(self, folder: str) -> list[str]: ...
    def delete(self, path: str) -> None: ...
    def check(self, root: str, *, write: bool) -> None: ...


class Storage:
    """Access to the files below `uri`; pickles as its URI, credentials stay in each process's environment.

    Paths are relative, with `/`. Open one with `open_storage`.
    """

    def __init__(self, uri: str, *, deadline_s: float = RETRY_DEADLINE_S) -> None:
        self.protocol, self._root = _split(uri)
        self.uri = self._root if self.is_local else f"{self.protocol}://{self._root}"
        self.deadline_s = deadline_s
        self._conditional_write: bool | None = None

    def __reduce__(self) -> tuple[Callable[..., "Storage"], tuple[str, float]]:
        return _reopen, (self.uri, self.deadline_s)

    def __repr__(self) -> str:
        return f"Storage({self.uri!r})"

    @property
    def is_local(self) -> bool:
        return self.protocol == "file"

    def exists(self, path: str = "") -> bool:
        """Whether a file, or anything below a folder, is there."""
        return self._run(path, lambda full, _: self._backend.exists(full))

    def read(self, path: str) -> bytes:
        """Whole content.

        Raises:
            FileNotFoundError: there is no such file.
        """
        return self._run(path, lambda full, _: self._backend.read(full))

    def read_range(self, path: str, start: int, stop: int) -> bytes:
        """Bytes [start, stop) of a file, fewer where it ends before.

        Raises:
            FileNotFoundError: there is no such file.
        """
        return self._run(path, lambda full, _: self._backend.read_range(full, start, stop))

    def write(self, path: str, data: bytes) -> None:
        """Create or replace a file; readers see the old or the new content, never a mixture."""
        self._run(path, lambda full, _: self._backend.write(full, data))

    def write_if_absent(self, path: str, data: bytes) -> bool:
        """Create a file; False, and no change, if it exists.

        Among several writers exactly one gets True if `supports_conditional_write()`.
        """

        def create(full: str, attempt: int) -> bool:
            created = self._backend.create(full, data)
            # A write whose answer was lost was carried out all the same: it is ours.
            return created or (attempt > 0 and self._backend.read(full) == data)

        return self._run(path, create)

    def supports_conditional_write(self) -> bool:
        """Whether `write_if_absent` is atomic here; found out by writing a probe twice, then remembered."""
        if self._conditional_write is None:
            self._conditional_write = self._run("", lambda full, _: self._backend.supports_create(full))
        return self._conditional_write

    def list(self, prefix: str = "") -> list[str]:
        """Relative paths of all files, at any depth, that start with the prefix; sorted."""
        folder = prefix.rpartition("/")[0]
        found = self._run(folder, lambda full, _: self._backend.find(full))
        root = self._root.strip("/")
        relative = (path.lstrip("/").removeprefix(root).lstrip("/") for path in found)
        return sorted(path for path in relative if path.startswith(prefix))

    def size(self, path: str) -> int:
        """Bytes of a file.

        Raises:
            FileNotFoundError: there is no such file.
        """
        return self._run(path, lambda full, _: self._backend.size(full))

    def stamp(self, path: str) -> str:
        """Text that differs once the file's content has been replaced.

        Raises:
            FileNotFoundError: there is no such file.
        """
        return self._run(path, lambda full, _: self._backend.stamp(full))

    def delete(self, path: str) -> None:
        """Delete a file or a folder with all it holds; nothing happens if it is missing."""
        self._run(path, lambda full, _: self._backend.delete(full))

    def put(self, local_path: Path, path: str) -> None:
        """Copy a local file here."""
        self._run(path, lambda full, _: self._backend.upload(local_path, full))

    def get(self, path: str, local_path: Path) -> None:
        """Copy a file from here to a local path whose folder exists."""
        self._run(path, lambda full, _: self._backend.download(full, local_path))

    def child(self, path: str) -> "Storage":
        """The storage rooted at a folder below this one."""
        return Storage(f"{self.uri.rstrip('/')}/{_relative(path)}", deadline_s=self.deadline_s)

    def local_path(self, path: str = "") -> Path:
        """Where a file lies on this machine.

        Raises:
            StorageError: the storage is not local.
        """
        if not self.is_local:
            raise StorageError(f"{self.uri} is not a local folder; copy the file with get() first")
        return Path(self._full(path))

    def check(self, *, write: bool) -> None:
        """Try listing the root, and writing below it where asked."""
        self._run("", lambda full, _: self._backend.check(full, write=write))

    @cached_property
    def _backend(self) -> _Backend:
        if self.is_local:
            return LocalBackend()
        # fsspec and s3fs cost a second to import and local runs need neither.
        from unetpp.core.storage.object_store import ObjectBackend

        try:
            return ObjectBackend(self.protocol, self.deadline_s)
        except ImportError as error:
            raise StorageError(
                f"{self.protocol}:// needs a package that is not installed: {error}"
            ) from error
        except ValueError as error:
            raise StorageError(
                f"{self.protocol}:// is no known kind of storage; use a folder or s3://"
            ) from error

    def _full(self, path: str) -> str:
        relative = _relative(path)
        return f"{self._root.rstrip('/')}/{relative}" if relative else self._root

    def _run(self, path: str, operation: Callable[[str, int], T]) -> T:
        full = self._full(path)
        retry = Retry(self.deadline_s)
        attempts = 0

        def attempt_once(attempt: int) -> T:
            nonlocal attempts
            attempts = attempt + 1
            return operation(full, attempt)

        try:
            return retry(attempt_once, is_transient=self._is_transient)
        except FileNotFoundError as error:
            if error_code(error) == "NoSuchBucket":
                raise explain(error, self.uri) from error
            named = f"{self.uri}/{path}".rstrip("/")
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), named) from error
        except (StorageError, MemoryError, NotImplementedError):
            raise
        except Exception as error:
            named = f"{self.uri}/{path}".rstrip("/")
            if self._is_transient(error):
                named += f" (attempt {attempts}, deadline {self.deadline_s:g} s)"
            raise explain(error, named) from error

    def _is_transient(self, error: Exception) -> bool:
        return not self.is_local and is_transient(error)


def open_storage(uri: str | os.PathLike[str]) -> Storage:
    """Open a folder or URI; nothing is contacted yet.

    Raises:
        StorageError: the URI is empty, holds credentials or names no bucket.
    """
    return Storage(os.fspath(uri))


def preflight(storage: Storage, *, write: bool) -> None:
    """Fail within seconds if the storage cannot be listed, or written to where asked.

    Raises:
        StorageError: bucket, credential, endpoint, permission or folder is at fault.
    """
    quick = Storage(storage.uri, deadline_s=min(PREFLIGHT_DEADLINE_S, storage.deadline_s))
    try:
        quick.check(write=write)
    except FileNotFoundError as error:
        raise StorageError(
            f"cannot use {storage.uri}: the folder does not exist; correct the path"
        ) from error


def _reopen(uri: str, deadline_s: float) -> Storage:
    return Storage(uri, deadline_s=deadline_s)


def _split(uri: str) -> tuple[str, str]:
    """Protocol and root: an absolute path for "file", `bucket/prefix` otherwise."""
    if not uri.strip():
        raise StorageError("a storage URI must not be empty; name a folder or s3://bucket/prefix")
    if "://" not in uri:
        return "file", os.path.abspath(os.path.expanduser(uri))
    parts = urlsplit(uri)
    if parts.scheme in ("file", "local"):
        return "file", os.path.abspath(unquote(parts.path))
    if "@" in parts.netloc and ":" in parts.netloc.rpartition("@")[0]:
        raise StorageError("a URI must not hold credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    root = uri.split("://", 1)[1].strip("/")
    if not root:
        raise StorageError(f"{uri} names no bucket; write {parts.scheme}://bucket/prefix")
    return parts.scheme, root


def _relative(path: str) -> str:
    if path.startswith("/") or ".." in PurePosixPath(path).parts:
        raise StorageError(
            f"path={path!r} must stay below the storage's root; write it relative, without '..'"
        )
    return path.strip("/")
