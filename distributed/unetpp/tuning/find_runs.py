"""Runs and sweeps below a folder or URI."""

from dataclasses import dataclass

from unetpp.core.places import RUN_CONFIG, SWEEP_CONFIG, TRIALS
from unetpp.core.storage import Storage, open_storage

__all__ = ["RunListing", "find_results"]


@dataclass(frozen=True)
class RunListing:
    """Paths relative to the root, sorted; the root itself is the empty path."""

    runs: tuple[str, ...]
    """Runs that are no trials."""
    sweeps: tuple[str, ...]


def find_results(uri: str) -> RunListing:
    """Every run and sweep at or below the URI; an empty or missing folder has none.

    Raises:
        StorageError: the URI cannot be used.
    """
    storage = open_storage(uri)
    files = _listed(storage)
    sweeps = {_folder(path) for path in files if _name(path) == SWEEP_CONFIG}
    trial_roots = tuple(f"{sweep}/{TRIALS}/".lstrip("/") for sweep in sweeps)
    runs = {_folder(path) for path in files if _name(path) == RUN_CONFIG and not path.startswith(trial_roots)}
    return RunListing(tuple(sorted(runs)), tuple(sorted(sweeps)))


def _listed(storage: Storage) -> list[str]:
    try:
        return storage.list()
    except FileNotFoundError:
        return []


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _name(path: str) -> str:
    return path.rpartition("/")[2]
