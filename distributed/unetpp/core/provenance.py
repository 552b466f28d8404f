"""What produced a result: code, versions, machine, command."""

import json
import platform
import socket
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import unetpp
from unetpp.core.logs import redact

__all__ = ["SUBMISSION", "collect", "command_line", "library_versions", "source_version"]

SUBMISSION = "submission.json"
"""Beside submitted code, which lies in no git work tree: what `source_version` said where it came from."""

_LIBRARIES = (
    "torch",
    "ray",
    "numpy",
    "optuna",
    "pyarrow",
    "fsspec",
    "s3fs",
    "pillow",
    "safetensors",
)
_GIT_TIMEOUT_S = 10


def collect(config_hash: str = "") -> dict[str, Any]:
    """Describe the running code; `config_hash` is stored as given."""
    package = Path(unetpp.__file__).parent
    return {
        "package": str(package),
        "version": unetpp.__version__,
        **source_version(package),
        "versions": library_versions(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "hostname": socket.gethostname(),
        "command": command_line(),
        "config_hash": config_hash,
    }


def source_version(package: Path) -> dict[str, Any]:
    """git_sha and git_dirty of the work tree that holds the package, or of the one it was submitted from."""
    if (submission := _submission(package)) is not None:
        return submission
    git_sha = _git(package, "rev-parse", "HEAD")
    # -uno: an untracked run folder does not change the code.
    dirty = None if git_sha is None else bool(_git(package, "status", "--porcelain", "-uno"))
    return {"git_sha": git_sha, "git_dirty": dirty}


def library_versions() -> dict[str, str]:
    """Installed versions of the libraries that decide results, read without importing them."""
    found: dict[str, str] = {}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def command_line() -> str:
    """The command that started this process, secrets redacted."""
    program = Path(sys.argv[0])
    # `python -m unetpp` runs the package's __main__.py.
    name = program.parent.name if program.name == "__main__.py" else program.name
    return redact(" ".join([name, *sys.argv[1:]]))


def _submission(package: Path) -> dict[str, Any] | None:
    try:
        stored = json.loads((package.parents[1] / SUBMISSION).read_text(encoding="utf-8"))
    except (OSError, ValueError, IndexError):
        return None
    return {"git_sha": stored.get("git_sha"), "git_dirty": stored.get("git_dirty")}


def _git(folder: Path, *arguments: str) -> str | None:
    """Output of a git command; None where there is no git or the package lies in no work tree."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=_GIT_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
