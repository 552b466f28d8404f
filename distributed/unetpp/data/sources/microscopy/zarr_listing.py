"""Which folders are an OME-Zarr, from the paths of their files."""

from collections.abc import Iterable
from pathlib import PurePosixPath

from unetpp.data.images.listing import is_hidden

__all__ = ["is_inside", "zarr_folders"]

_SUFFIX = ".zarr"


def zarr_folders(paths: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Members of each folder whose name ends in .zarr, hidden ones included; the outermost folder counts."""
    folders: dict[str, list[str]] = {}
    for path in paths:
        parts = PurePosixPath(path).parts[:-1]
        depth = next((k for k, part in enumerate(parts, 1) if part.lower().endswith(_SUFFIX)), None)
        if depth is not None and not is_hidden("/".join(parts[:depth])):
            folders.setdefault("/".join(parts[:depth]), []).append(path)
    return {folder: tuple(sorted(members)) for folder, members in sorted(folders.items())}


def is_inside(path: str, folder: str) -> bool:
    """Whether a file lies in a folder."""
    return path.startswith(f"{folder}/")
