"""Image files below a folder or URI, listed alike wherever users name one."""

import logging
import os
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from unetpp.core.storage import Storage

__all__ = ["is_hidden", "list_images", "searched_trees"]

logger = logging.getLogger(__name__)


def list_images(storage: Storage, endings: tuple[str, ...]) -> list[str]:
    """Relative paths of the files with one of the endings at any depth, sorted.

    Hidden files and folders are left out. Linked folders are searched, each folder once however many links
    lead to it; which links are passed over is said.
    """
    if storage.is_local:
        found = _search(str(storage.local_path()))
        found.say_passed_over()
        paths = found.files
    else:
        paths = storage.list()
    return sorted(path for path in paths if path.lower().endswith(endings) and not is_hidden(path))


def searched_trees(storage: Storage) -> dict[str, str]:
    """Where the images of a local folder may lie: the real place of it and of its linked folders, with
    the path at which it is searched.
    """
    return _search(str(storage.local_path())).trees


def is_hidden(path: str) -> bool:
    """Whether a part of the path starts with a dot."""
    return any(part.startswith(".") for part in PurePosixPath(path).parts)


@dataclass
class _Found:
    root: str
    files: list[str] = field(default_factory=list)
    trees: dict[str, str] = field(default_factory=dict)
    passed_over: list[str] = field(default_factory=list)

    def say_passed_over(self) -> None:
        if self.passed_over:
            logger.warning(
                "%d linked folder(s) below %s lead to folders that are searched anyway or hold it, first %r; "
                "they are passed over",
                len(self.passed_over), self.root, min(self.passed_over),
            )  # fmt: skip


def _search(root: str) -> _Found:
    found = _Found(root)
    searched: set[str] = set()
    # A folder's own place comes before the links to it, so that its files keep their paths.
    folders: list[str] = []
    links = [root]
    while folders or links:
        is_tree = not folders
        folder = links.pop() if is_tree else folders.pop()
        real, relative = os.path.realpath(folder), os.path.relpath(folder, root)
        if real in searched or _is_above(real, root):
            found.passed_over.append(relative)
            continue
        searched.add(real)
        if is_tree:
            found.trees[real] = "" if folder == root else relative
        for entry in _entries(folder):
            # Unlike `entry.is_dir`, this answers for a link that leads to itself.
            if os.path.isdir(entry.path):
                (links if entry.is_symlink() else folders).append(entry.path)
            else:
                found.files.append(os.path.relpath(entry.path, root))
        links.sort(reverse=True)
    return found


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return [entry for entry in found if not is_hidden(entry.name)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        logger.warning("%s cannot be searched: %s", folder, error)
        return []


def _is_above(folder: str, root: str) -> bool:
    real = os.path.realpath(root)
    return folder != real and real.startswith(folder.rstrip("/") + "/")
