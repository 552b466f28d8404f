"""What is kept of a local cluster between commands: one file, readable by its owner only."""

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from unetpp.core.errors import UserError
from unetpp.launch.local_cluster.nodes import NodePlan
from unetpp.launch.local_cluster.processes import ProcessRecord

__all__ = [
    "ClusterState",
    "delete_state",
    "locked",
    "ports_of_others",
    "read_state",
    "write_state",
]

_FILE = "cluster.json"
_LOCK = "lock"


@dataclass(frozen=True)
class ClusterState:
    """A cluster that was started."""

    name: str
    out: str
    """Folder or URI whose runs and sweeps the pages show."""
    plan: NodePlan
    urls: dict[str, str]
    """Pages by name."""
    ports: dict[str, int]
    processes: tuple[ProcessRecord, ...]

    def process(self, name: str) -> ProcessRecord | None:
        """The process of that name, if it was ever started."""
        return next((process for process in self.processes if process.name == name), None)

    def having(self, process: ProcessRecord) -> "ClusterState":
        """The state with a process added, or put in place of the one with its name."""
        others = tuple(other for other in self.processes if other.name != process.name)
        return replace(self, processes=(*others, process))


def read_state(folder: Path) -> ClusterState | None:
    """The cluster in a folder; None if none was started or it was stopped.

    Raises:
        UserError: the file is not what `write_state` wrote.
    """
    try:
        values: dict[str, Any] = json.loads((folder / _FILE).read_bytes())
        processes = tuple(ProcessRecord(**process) for process in values.pop("processes"))
        plan = NodePlan(**values.pop("plan"))
        return ClusterState(**values, plan=plan, processes=processes)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{folder / _FILE} must be as `unetpp cluster up` wrote it: {error}") from error


def ports_of_others(folder: Path) -> set[int]:
    """Ports of the clusters remembered beside this one; their services may not listen on them yet.

    Raises:
        UserError: a file is not what `write_state` wrote.
    """
    others = [other for other in folder.parent.iterdir() if other != folder and other.is_dir()]
    states = [read_state(other) for other in others]
    return {port for state in states if state is not None for port in state.ports.values()}


def write_state(folder: Path, state: ClusterState) -> None:
    """Replace the file; it is 0600 from the start."""
    partial = folder / f"{_FILE}.{os.getpid()}"
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(asdict(state), file, indent=1)
    partial.replace(folder / _FILE)


def delete_state(folder: Path) -> None:
    """Forget the cluster."""
    (folder / _FILE).unlink(missing_ok=True)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One command at a time on a cluster; makes the folder, closed to others.

    Raises:
        UserError: another command is at work.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        lock = FileLock(folder / _LOCK, timeout=0, mode=0o600, fallback_to_soft=False).acquire()
    except Timeout as error:
        raise UserError(
            f"another `unetpp cluster` command works on {folder}; wait for it, or use another --name"
        ) from error
    with lock:
        yield
