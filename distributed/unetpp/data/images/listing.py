"""Image files below a folder or URI, listed alike wherever users name one."""

import logging
import os
from pathlib import PurePosixPath

from unetpp.core.storage import Storage

__all__ = ["is_hidden", "list_images"]

logger = logging.getLogger(__name__)


def list_images(storage: Storage, endings: tuple[str, ...]) -> list[str]:
    """Relative paths of the files with one of the endings at any depth, sorted.

    Hidden files and folders are left out. Linked folders are not searched, which is said.
    """
    if storage.is_local:
        _say_unsearched(str(storage.local_path()))
    return [path for path in storage.list() if path.lower().endswith(endings) and not is_hidden(path)]


def is_hidden(path: str) -> bool:
    """Whether a part of the path starts with a dot."""
    return any(part.startswith(".") for part in PurePosixPath(path).parts)


def _say_unsearched(root: str) -> None:
    linked = sorted(
        relative
        for parent, folders, _ in os.walk(root)
        for name in folders
        if os.path.islink(path := os.path.join(parent, name))
        and not is_hidden(relative := os.path.relpath(path, root))
    )
    if linked:
        logger.warning(
            "%d linked folder(s) below %s are not searched, first %r; name it itself to read it",
            len(linked), root, linked[0],
        )  # fmt: skip
