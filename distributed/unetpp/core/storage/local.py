"""Files of a local folder: durable, atomic writes."""

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

__all__ = ["LocalBackend"]

_TEMP_PREFIX = ".unetpp-"
_NO_HARD_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS)


class LocalBackend:
    """Paths are absolute; a reader sees a file whole or not at all."""

    def exists(self, path: str) -> bool:
        return os.path.exists(path)

    def read(self, path: str) -> bytes:
        return Path(path).read_bytes()

    def read_range(self, path: str, start: int, stop: int) -> bytes:
        with open(path, "rb") as file:
            file.seek(start)
            return file.read(stop - start)

    def size(self, path: str) -> int:
        return os.stat(path).st_size

    def stamp(self, path: str) -> str:
        found = os.stat(path)
        return f"{found.st_ino}-{found.st_size}-{found.st_mtime_ns}"

    def write(self, path: str, data: bytes) -> None:
        with _temporary(path) as temporary:
            _write_durably(temporary, data)
            os.replace(temporary, path)
        _sync_folder(path)

    def create(self, path: str, data: bytes) -> bool:
        """Write unless the file exists; exactly one of several writers gets True."""
        try:
            with _temporary(path) as temporary:
                _write_durably(temporary, data)
                os.link(temporary, path)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            # exFAT and some network mounts: still exclusive, but a reader may see a part of the file.
            try:
                _write_durably(path, data)
            except FileExistsError:
                return False
        _sync_folder(path)
        return True

    def supports_create(self, root: str) -> bool:  # noqa: ARG002, local links are always exclusive
        return True

    def upload(self, local_path: Path, path: str) -> None:
        with _temporary(path) as temporary:
            shutil.copyfile(local_path, temporary)
            os.replace(temporary, path)
        _sync_folder(path)

    def download(self, path: str, local_path: Path) -> None:
        shutil.copyfile(path, local_path)

    def find(self, folder: str) -> list[str]:
        """Absolute paths of all files below, temporary ones left out."""
        found = []
        for parent, _, names in os.walk(folder):
            found += [os.path.join(parent, name) for name in names if not name.startswith(_TEMP_PREFIX)]
        return found

    def delete(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)

    def check(self, root: str, *, write: bool) -> None:
        """Whether the folder can be read, or the nearest existing one above it written."""
        folder = Path(root)
        if not write:
            os.scandir(folder).close()
            return
        while not folder.exists():
            folder = folder.parent
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


@contextlib.contextmanager
def _temporary(path: str) -> Iterator[str]:
    """A free name in the same folder, so that the rename stays on one file system."""
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    temporary = os.path.join(folder, f"{_TEMP_PREFIX}{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def _write_durably(path: str, data: bytes) -> None:
    # 0o666 less the umask: other users of a shared folder keep their access.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: str) -> None:
    """Make the new name itself survive a power cut."""
    descriptor = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network mounts cannot sync a folder
            raise
    finally:
        os.close(descriptor)
