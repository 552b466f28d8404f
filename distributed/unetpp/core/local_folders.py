"""Folders of this user on this machine: the cache of what can be fetched again, and records of its own."""

import os
import shutil
import tempfile
from pathlib import Path

__all__ = ["cache_folder", "free_bytes", "user_state"]

_ON_DISK = Path("/var/tmp")
"""Local to the node and on a disk, where a home folder is often shared and /tmp is often memory."""


def cache_folder(configured: str = "") -> Path:
    """The configured folder without links, or this user's own below TMPDIR or /var/tmp; it need not exist."""
    if configured:
        return Path(configured).expanduser().resolve()
    usable = _ON_DISK.is_dir() and os.access(_ON_DISK, os.W_OK)
    parent = os.environ.get("TMPDIR") or (_ON_DISK if usable else tempfile.gettempdir())
    return Path(parent).absolute() / f"unetpp-cache-{os.getuid()}"


def free_bytes(folder: Path) -> int:
    """Bytes that may still be written where the folder is, or would be created."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def user_state(name: str) -> Path:
    """The folder $XDG_STATE_HOME/unetpp/`name`, out of reach of who writes to runs; nothing is created."""
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "unetpp" / name
