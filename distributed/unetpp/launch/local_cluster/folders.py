"""Where clusters of this machine are remembered, also those that were started with a folder of their own."""

import contextlib
import shlex
from pathlib import Path

from unetpp.core.errors import UserError
from unetpp.core.local_folders import user_state
from unetpp.launch.local_cluster.state import read_state

__all__ = ["cluster_folder", "find_cluster", "remember_folder"]

_OTHERS = "folders"
"""File beside the remembered clusters: folders that were given, one a line."""


def cluster_folder(name: str, given: Path | None) -> Path:
    """Where a cluster is remembered: in the folder that is given, else in $XDG_STATE_HOME/unetpp/clusters.

    Raises:
        UserError: the name is no plain word.
    """
    if not name or Path(name).name != name or name in (".", ".."):
        raise UserError(f"--name {name!r} must be a plain word, without slashes; it names a folder")
    return (given or user_state("clusters")).expanduser().resolve() / name


def remember_folder(given: Path) -> None:
    """Let `find_cluster` look into a folder, too; without a writable home only who names it finds it."""
    line, others = f"{given.expanduser().resolve()}\n", user_state("clusters") / _OTHERS
    with contextlib.suppress(OSError):
        others.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not others.exists() or line not in others.read_text().splitlines(keepends=True):
            with others.open("a") as file:
                file.write(line)


def find_cluster(name: str, given: Path | None) -> Path:
    """The folder of a cluster that was started, wherever; without any, where it would be remembered.

    Raises:
        UserError: the name is no plain word, or clusters of this name are remembered in several folders.
    """
    folder = cluster_folder(name, given)
    if given is not None or read_state(folder) is not None:
        return folder
    found = [other for other in _others(name) if read_state(other) is not None]
    if len(found) > 1:
        shown = " or ".join(shlex.quote(str(other.parent)) for other in found)
        raise UserError(f"{len(found)} clusters {name} run; say which: --dir {shown}")
    return found[0] if found else folder


def _others(name: str) -> list[Path]:
    try:
        lines = (user_state("clusters") / _OTHERS).read_text().splitlines()
    except OSError:
        return []
    return [Path(line) / name for line in dict.fromkeys(lines)]
