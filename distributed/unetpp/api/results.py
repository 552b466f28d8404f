"""What the functions of `import unetpp` return: readable when printed, tables and curves in notebooks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from unetpp.api.html import facts, scores_table, table, text

__all__ = ["EvaluateResult", "ExportResult", "PackSummary", "PredictResult", "TrainResult", "TuneResult"]


class _Shown:
    """A dataclass as `name: value` lines, and as a table in a notebook."""

    def __repr__(self) -> str:
        lines = [f"  {name}: {text(value)}" for name, value in self._shown().items()]
        return "\n".join([type(self).__name__, *lines])

    def _repr_html_(self) -> str:
        tables = self._tables()
        single = {name: value for name, value in self._shown().items() if name not in tables}
        return facts(single) + "".join(tables.values()) + self._figure()

    def _shown(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self) if field.repr}  # type: ignore[arg-type]  # a dataclass

    def _tables(self) -> dict[str, str]:
        """By field: what is a table of its own in a notebook."""
        return {}

    def _figure(self) -> str:
        return ""


@dataclass(frozen=True, repr=False)
class PackSummary(_Shown):
    """A committed dataset."""

    uri: str
    version: str
    rows: Mapping[str, int]
    """By split."""
    rejected: Sequence[tuple[str, str]]
    """(file, reason) of what was left out."""
    task: str = ""
    masks_are: str = ""
    """Kind of the masks, as stated or inferred."""
    classes: Mapping[str, float] = field(default_factory=dict)
    """Share of all pixels by class; background and ignored pixels too."""
    warnings: Sequence[str] = ()
    """What looks wrong."""
    preview: str = ""
    """A page with masks drawn over their images."""


@dataclass(frozen=True, repr=False)
class TrainResult(_Shown):
    """A training run; scores are of its best validated epoch, None without a validation split."""

    run: str
    finished: bool
    """False after a clean stop: the run can be resumed."""
    epochs: int
    best_epoch: int | None
    dice: float | None
    iou: float | None
    levels: Mapping[str, Mapping[str, float]]
    """Scores of each level's network."""
    seconds: float
    images_per_s: float | None

    def _shown(self) -> dict[str, Any]:
        return super()._shown() | {"levels": _dice_of(self.levels)}

    def _tables(self) -> dict[str, str]:
        return {"levels": scores_table("level", self.levels)}

    def history(self) -> list[dict[str, Any]]:
        """One entry an epoch, as metrics.jsonl has them."""
        from unetpp.core.rundir import RunDir

        return RunDir(self.run).read_metrics()

    def _figure(self) -> str:
        from unetpp.report.run.figures import lines_svg

        scored = [epoch for epoch in self.history() if "val" in epoch]
        if len(scored) < 2:
            return ""
        numbers = [float(epoch["epoch"]) for epoch in scored]
        series = {
            f"level {level}": (numbers, [float(epoch["val"]["levels"][level]["dice"]) for epoch in scored])
            for level in self.levels
        }
        return lines_svg(series, y_label="validation Dice")


@dataclass(frozen=True, repr=False)
class TuneResult(_Shown):
    """A sweep; `best` is the confirmed winner where there is one."""

    sweep: str
    finished: bool
    trials: Mapping[str, int]
    """By outcome."""
    best: Mapping[str, Any] | None
    """trial, level, value, params."""
    pareto: Sequence[Mapping[str, Any]]
    """The same with latency_s, num_params and macs, by rising quality."""
    causes: Sequence[tuple[str, int]]
    """Why trials have no result, with their number."""
    metric: str = "dice"
    """What values are of, `tune.metric`."""
    candidates: Sequence[Mapping[str, Any]] = ()
    """With dilation, best first: the networks that share weights; empty with tune.one_shot=depth."""
    next_hour: Mapping[str, float] | None = None
    """What another hour may find: trials, chance of a better one, gain; None after too few trials."""

    @property
    def best_run(self) -> str | None:
        """URI of the best trial's run."""
        from unetpp.core.places import trial_uri

        return None if self.best is None else trial_uri(self.sweep, self.best["trial"])

    def _shown(self) -> dict[str, Any]:
        front = [f"trial {row['trial']} level {row['level']}: {row['value']:.4f}" for row in self.pareto]
        return super()._shown() | {"pareto": front, "candidates": len(self.candidates)}

    def _tables(self) -> dict[str, str]:
        columns = ("trial", "level", "quality", "ms per image", "weights", "parameters")
        return {
            "pareto": table(
                columns,
                (
                    (row["trial"], row["level"], row["value"], 1000 * row["latency_s"], row["num_params"],
                     row["params"])
                    for row in self.pareto
                ),
            )
        }  # fmt: skip

    def _figure(self) -> str:
        from unetpp.report.run.figures import lines_svg

        if len(self.pareto) < 2:
            return ""
        front = sorted((1000 * row["latency_s"], row["value"]) for row in self.pareto)
        latency_ms, quality = zip(*front, strict=True)
        return lines_svg({"front": (latency_ms, quality)}, y_label="quality", x_label="ms per image")


@dataclass(frozen=True, repr=False)
class EvaluateResult(_Shown):
    """Scores of a run on a split."""

    split: str
    rows: int
    level: int
    dice: float
    iou: float
    dice_per_image: float
    iou_per_image: float
    overlap: int | None
    """Images that were trained on; None where that cannot be read."""
    classes: Sequence[Mapping[str, Any]]
    levels: Mapping[str, Mapping[str, Any]]
    disturbance: Mapping[str, Any] | None = None
    """The attack or corruption of the images, None for images as they are."""

    def _shown(self) -> dict[str, Any]:
        classes = {entry["name"]: entry["dice"] for entry in self.classes}
        return super()._shown() | {"classes": classes, "levels": _dice_of(self.levels)}

    def _tables(self) -> dict[str, str]:
        classes = {entry["name"]: entry for entry in self.classes}
        return {"classes": scores_table("class", classes), "levels": scores_table("level", self.levels)}


@dataclass(frozen=True, repr=False)
class PredictResult(_Shown):
    """Masks that were written."""

    out: str
    images: int
    predicted: int
    resumed: int
    """Predicted by the calls that this one went on with."""
    failed: Sequence[Mapping[str, str]]
    """file and reason."""
    level: int
    images_per_s: float


@dataclass(frozen=True, repr=False)
class ExportResult(_Shown):
    """A file that holds the network."""

    file: str
    level: int
    bytes: int
    max_abs_diff: float
    """Between its logits and the run's."""
    differing: float
    """Part of the pixels whose class is another than the run's in float32."""
    checked_px: list[list[int]]
    """Sizes of the images that were compared."""


def _dice_of(levels: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What fits on a line; the attribute has all."""
    return {f"Dice of level {name}": scores["dice"] for name, scores in levels.items()}
