"""What a folder or URI holds: a packed dataset, a run, a sweep or a cross-validation, one of them at most.

The runs of a sweep lie in SWEEP/trials/NNNN, those of a cross-validation in FOLDS/fold-N.
"""

from typing import Literal

from unetpp.core.errors import ExistsError
from unetpp.core.manifest import MANIFEST_POINTER
from unetpp.core.storage import Storage

__all__ = [
    "DATASET_COPY",
    "FOLDS_FILE",
    "RUN_CONFIG",
    "SWEEP_CONFIG",
    "TRIALS",
    "Kind",
    "fold_name",
    "kind_at",
    "misplaced",
    "require_free_of_others",
    "trial_of",
    "trial_uri",
]

Kind = Literal["packed dataset", "run", "sweep", "cross-validation"]

RUN_CONFIG = "config.yaml"
SWEEP_CONFIG = "sweep.yaml"
FOLDS_FILE = "folds.json"
DATASET_COPY = "dataset.json"
"""The manifest that a run, a sweep or a cross-validation was started with."""

TRIALS = "trials"

_SIGNS: dict[Kind, tuple[str, ...]] = {
    "cross-validation": (FOLDS_FILE, DATASET_COPY),
    "sweep": (SWEEP_CONFIG,),
    "run": (RUN_CONFIG, DATASET_COPY),
    "packed dataset": (MANIFEST_POINTER, "manifest-00001.json"),
}
"""Files that are there together; a `config.yaml` or a `manifest.json` alone may be anybody's."""


def trial_uri(sweep: str, number: int) -> str:
    """A trial's run folder; relative where the sweep is the empty path."""
    return "/".join([*filter(None, [sweep.rstrip("/")]), TRIALS, f"{number:04d}"])


def trial_of(path: str) -> tuple[str, int] | None:
    """The sweep and the number that a path or URI names; None if it is no trial's."""
    parent, _, name = path.rstrip("/").rpartition("/")
    sweep, _, folder = parent.rpartition("/")
    return (sweep, int(name)) if folder == TRIALS and name.isdecimal() else None


def fold_name(number: int) -> str:
    """Folder of a fold's run in that of the cross-validation."""
    return f"fold-{number}"


def kind_at(storage: Storage, *, but: Kind | None = None) -> Kind | None:
    """What is there, if anything; `but` is not looked for."""
    kinds = (kind for kind in _SIGNS if kind != but)
    return next((kind for kind in kinds if all(map(storage.exists, _SIGNS[kind]))), None)


def require_free_of_others(storage: Storage, kind: Kind | Literal["masks"]) -> None:
    """Keep results of different kinds in places of their own; whether one of this kind is there is not asked.

    Raises:
        ExistsError: another kind is there.
    """
    found = kind_at(storage, but=None if kind == "masks" else kind)
    if found is not None:
        raise ExistsError(f"{storage.uri} holds a {found}; name another place for the {kind}")


def misplaced(storage: Storage, needed: Kind) -> str:
    """Why a place that lacks what is needed is no such place; empty where nothing of ours is there."""
    if storage.is_local and storage.local_path().is_file():
        return f"{storage.uri} is a file where a {needed} is needed"
    found = kind_at(storage, but=needed)
    if found is None:
        return ""
    told = f"{storage.uri} holds a {found} where a {needed} is needed"
    if needed == "run" and found == "sweep":
        told += f": a run for each trial, such as {trial_uri(storage.uri, 0)}"
    if needed == "run" and found == "cross-validation":
        told += f": a run for each fold, such as {storage.uri.rstrip('/')}/{fold_name(0)}"
    return told
