"""The files that travel with a job, chosen and zipped; the zip of the same files has the same bytes.

Inside the zip: the working directory's files as they lie, the package at `distributed/unetpp` whatever
it was installed as, files named on the command line in `inputs/`, and `submission.json`.
"""

import fnmatch
import json
import os
import subprocess
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import unetpp
from unetpp.core.errors import InputError
from unetpp.core.provenance import SUBMISSION, source_version

__all__ = ["UPLOAD_LIMIT_BYTES", "Upload", "checkout_root", "collect_upload", "megabytes", "write_zip"]

UPLOAD_LIMIT_BYTES = 100 * 2**20
"""Ray's dashboard refuses larger request bodies."""
_SOURCE = PurePosixPath("distributed/unetpp")
_SKIPPED_FOLDERS = frozenset(
    {"__pycache__", "node_modules", "venv", "build", "dist", "runs", "demo", "tests", "benchmarks"}
)
_SKIPPED_FILES = (
    # what may hold a secret
    *("auth_token", "credentials*", ".netrc", ".pgpass", "*.pem", "*.key", "id_rsa*", "id_ed25519*", "*.env"),
    "*.pyc",
)
_GIT_TIMEOUT_S = 30
# The zip format has no earlier time; a fixed one keeps equal files equal in bytes.
_SHOWN = 3
"""Entries that a summary names."""
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Upload:
    """Files by their path in the zip."""

    files: Mapping[str, Path]
    version: Mapping[str, object] = field(default_factory=dict)
    """git_sha and git_dirty of the code."""

    @property
    def bytes(self) -> int:
        """Size before compression."""
        return sum(path.stat().st_size for path in self.files.values())

    def summary(self) -> str:
        """The top-level entries that hold most bytes, with their sizes."""
        sizes: dict[str, int] = {}
        for name, path in self.files.items():
            top, slash, _ = name.partition("/")
            sizes[top + slash] = sizes.get(top + slash, 0) + path.stat().st_size
        largest = sorted(sizes.items(), key=lambda entry: -entry[1])[:_SHOWN]
        return ", ".join(f"{name} {megabytes(size)}" for name, size in largest)


def megabytes(size_bytes: int) -> str:
    """A size for people."""
    return f"{size_bytes / 2**20:.1f} MiB"


def checkout_root() -> Path | None:
    """The checkout that the running package lies in; None for an installed wheel."""
    root = Path(unetpp.__file__).resolve().parents[2]
    return root if (root / _SOURCE / "__init__.py").is_file() else None


def collect_upload(working_dir: Path | None, inputs: Mapping[str, Path]) -> Upload:
    """Choose the files of a job.

    Args:
        working_dir: shipped as it lies, less what is ignored; None for the checkout of the running package.
            Where it holds no `distributed/unetpp`, the running package is put there.
        inputs: further files by their path in the zip, such as those named on the command line.

    Raises:
        InputError: the working directory does not exist.
    """
    root = working_dir.resolve() if working_dir else checkout_root()
    if root is not None and not root.is_dir():
        raise InputError(f"--working-dir {working_dir} must be a folder; it is not; correct the path")
    files = dict(_folder_files(root)) if root else {}
    package = Path(unetpp.__file__).resolve().parent
    if f"{_SOURCE}/__init__.py" not in files:
        files.update((f"{_SOURCE}/{name}", path) for name, path in _walk(package))
    elif root is not None:
        package = root / _SOURCE
    files.update(inputs)
    return Upload(files, source_version(package))


def write_zip(upload: Upload, target: Path) -> int:
    """Write the zip and return its size in bytes.

    Raises:
        InputError: a file cannot be read.
    """
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        # At the top and not in a folder: Ray strips a folder that everything lies in.
        archive.writestr(zipfile.ZipInfo(SUBMISSION, _TIMESTAMP), json.dumps(dict(upload.version)))
        for name, path in sorted(upload.files.items()):
            entry = zipfile.ZipInfo(name, _TIMESTAMP)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o755 if os.access(path, os.X_OK) else 0o644) << 16
            try:
                archive.writestr(entry, path.read_bytes())
            except OSError as error:
                raise InputError(
                    f"{path} cannot be read: {error.strerror}; ignore it in .gitignore"
                ) from error
    return target.stat().st_size


def _folder_files(root: Path) -> Iterator[tuple[str, Path]]:
    """What git would commit from the folder; without git, all but the usual by-products."""
    names = _git_files(root)
    for name, path in _walk(root) if names is None else ((name, root / name) for name in names):
        parts = PurePosixPath(name).parts
        if not _skipped(parts) and path.is_file() and not path.is_symlink():
            yield name, path


def _git_files(root: Path) -> list[str] | None:
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_GIT_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    # A folder that a surrounding repository ignores has no file that git knows.
    return [os.fsdecode(name) for name in done.stdout.split(b"\0") if name] or None


def _walk(root: Path) -> Iterator[tuple[str, Path]]:
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not _skipped((name,)))
        for name in sorted(names):
            path = Path(folder) / name
            if not _skipped((name,)):
                yield path.relative_to(root).as_posix(), path


def _skipped(parts: Sequence[str]) -> bool:
    *folders, name = parts
    if any(part in _SKIPPED_FOLDERS or part.startswith(".") for part in (*folders, name)):
        return True
    return any(fnmatch.fnmatch(name.lower(), pattern) for pattern in _SKIPPED_FILES)
