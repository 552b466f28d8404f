"""Everything a run's folder tells, read once; also from a run that was interrupted."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from unetpp.config.run import RunConfig
from unetpp.config.stored import stored_config
from unetpp.core.manifest import Manifest
from unetpp.core.rundir import RunDir
from unetpp.inference.evaluation.files import read_evaluations, read_panel

__all__ = ["Panel", "RunData", "Scores", "load_run_data"]

_ITEM_BYTES = {"uint8": 1, "uint16": 2, "float32": 4}


@dataclass(frozen=True)
class Panel:
    kind: str
    """best or worst."""
    sample_id: str
    dice: float
    png: bytes


@dataclass(frozen=True)
class Scores:
    """One set of scores and where they come from."""

    source: str
    values: dict[str, Any]


@dataclass(frozen=True)
class RunData:
    uri: str
    config: RunConfig
    decisions: list[dict[str, Any]]
    manifest: Manifest
    provenance: dict[str, Any]
    epochs: list[dict[str, Any]]
    result: dict[str, Any] | None
    evaluations: dict[str, dict[str, Any]]
    panels: tuple[Panel, ...] = field(repr=False)

    @property
    def patch_px(self) -> tuple[int, ...]:
        """Sides of the training crop; a started run has decided them."""
        return self.config.patch_px

    @property
    def train_pixels(self) -> int:
        """Pixels of the train split, from the decoded bytes: an image value each and one mask byte.

        Of a shard that several splits have rows of, by the number of rows.
        """
        shards = [shard for split in self.manifest.splits.values() for shard in split.shards]
        stored: Counter[str] = Counter()
        for shard in shards:
            stored[shard.name] += shard.rows
        train = self.manifest.splits["train"].shards
        decoded = sum(shard.decoded_bytes * shard.rows / stored[shard.name] for shard in train)
        return round(decoded / (self.manifest.channels * _ITEM_BYTES[self.manifest.dtype] + 1))

    @property
    def best_epoch(self) -> dict[str, Any] | None:
        """The validated epoch of the best checkpoint."""
        validated = [epoch for epoch in self.epochs if epoch.get("val")]
        return max(validated, key=lambda epoch: float(epoch["val"][self.config.tune.metric]), default=None)

    @property
    def evaluation(self) -> dict[str, Any] | None:
        """The evaluation that counts most: test, then val, then any other at the deepest level."""
        full = {name: e for name, e in self.evaluations.items() if name == e["split"]}
        ordered = sorted(full, key=lambda name: ({"test": 0, "val": 1}.get(name, 2), name))
        return full[ordered[0]] if ordered else None

    @property
    def scores(self) -> Scores | None:
        """The evaluation's scores, else those of the best validation."""
        if self.evaluation is not None:
            source = f"{self.evaluation['split']} split, {self.evaluation['rows']} images"
            if overlap := self.evaluation.get("overlap"):
                source += f", of which {overlap} were trained on"
            return Scores(source, self.evaluation)
        if self.best_epoch is not None:
            return Scores(f"validation, epoch {self.best_epoch['epoch']}", self.best_epoch["val"])
        return None


def load_run_data(run_uri: str) -> RunData:
    """Read a run.

    Raises:
        InputError: no run there.
    """
    run = RunDir(run_uri).require()
    evaluations = read_evaluations(run.storage)
    data = RunData(
        uri=run_uri.rstrip("/"),
        config=stored_config(run.read_config(), run.uri),
        decisions=run.read_decisions(),
        manifest=run.read_dataset(),
        provenance=run.read_provenance(),
        epochs=run.read_metrics(),
        result=run.read_result(),
        evaluations=evaluations,
        panels=(),
    )
    return data if data.evaluation is None else _with_panels(data, run, data.evaluation)


def _with_panels(data: RunData, run: RunDir, evaluation: Mapping[str, Any]) -> RunData:
    panels = tuple(
        Panel(kind, entry["sample_id"], entry["dice"], read_panel(run.storage, entry["file"]))
        for kind, entries in evaluation["examples"].items()
        for entry in entries
    )
    return replace(data, panels=panels)
