"""The folder of a cross-validation: the runs of its folds, and what they were dealt by.

folds.json               number of folds, seed, the fold of each group, and the configuration as it was given
dataset.json             the dataset manifest that the folds are parts of
fold-0, fold-1 ...       a run each, see rundir.py
out_of_fold.json         scores of all images, each predicted by the fold that was not trained on it
out_of_fold.parquet      the same image by image
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from unetpp.core.manifest import Manifest
from unetpp.core.places import DATASET_COPY, FOLDS_FILE, fold_name
from unetpp.core.storage import Storage, open_storage

__all__ = ["HEADLINE_SCORES", "FoldsFolder", "FoldsPlan"]

HEADLINE_SCORES = ("dice", "iou", "dice_per_image", "iou_per_image")
"""Of all folds together and of each."""
_SCORES, _TABLE = "out_of_fold.json", "out_of_fold.parquet"


@dataclass(frozen=True)
class FoldsPlan:
    """What is decided before the first fold is trained."""

    folds: int
    seed: int
    groups: Mapping[str, int]
    """The fold of each group of images."""
    config: Mapping[str, Any]
    """Fields that were given, by their dotted keys."""


class FoldsFolder:
    """Typed access to the files of a cross-validation."""

    def __init__(self, uri: str) -> None:
        self.storage: Storage = open_storage(uri)
        self.uri = self.storage.uri.rstrip("/")

    def exists(self) -> bool:
        """Whether a cross-validation was started here."""
        return self.storage.exists(FOLDS_FILE)

    def create(self, plan: FoldsPlan, manifest: Manifest) -> None:
        """Write what is decided; the plan goes last and vouches for the rest."""
        self.storage.write(DATASET_COPY, manifest.model_dump_json(indent=1).encode())
        self._write_json(FOLDS_FILE, asdict(plan))

    def read_plan(self) -> FoldsPlan:
        return FoldsPlan(**json.loads(self.storage.read(FOLDS_FILE)))

    def read_dataset(self) -> Manifest:
        return Manifest.model_validate_json(self.storage.read(DATASET_COPY))

    def fold_uri(self, number: int) -> str:
        """Where the run of a fold is."""
        return f"{self.uri}/{fold_name(number)}"

    def fold_uris(self) -> list[str]:
        """Where the runs of all folds are, trained or not."""
        return [self.fold_uri(number) for number in range(self.read_plan().folds)]

    def write_scores(self, scores: Mapping[str, Any], table: bytes) -> None:
        """Keep the out-of-fold scores; the summary goes last."""
        self.storage.write(_TABLE, table)
        self._write_json(_SCORES, scores)

    def _write_json(self, name: str, value: Any) -> None:
        self.storage.write(name, json.dumps(value, indent=1).encode())
