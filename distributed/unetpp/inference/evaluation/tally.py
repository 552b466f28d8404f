"""What the samples of a split add up to: parts of it, merged in its order, give that of the whole to the bit.

Whoever scores the parts, and in whatever order they end, the sums are taken in one order: one process and a
pool of them tell the same numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from unetpp.core.manifest import Manifest
from unetpp.inference.evaluation.borders import Borders
from unetpp.inference.evaluation.examples import Examples
from unetpp.inference.evaluation.per_image import PerImage
from unetpp.inference.evaluation.stages import Stage, StageScores
from unetpp.objective.boundary.scores import Tolerance
from unetpp.objective.calibration import Calibration
from unetpp.objective.image_labels import ImageLabelMetrics
from unetpp.objective.instances import InstanceMetrics
from unetpp.objective.metrics import SegmentationMetrics
from unetpp.objective.offsets import OffsetSearch
from unetpp.objective.thresholds import ThresholdSearch

__all__ = ["KEPT_EXAMPLES", "Measured", "Tally"]

KEPT_EXAMPLES = 4


@dataclass(frozen=True)
class Measured:
    """What is measured beside what always is."""

    tolerance: Tolerance | None = None
    """Of the surface Dice; None leaves borders out."""
    thresholds: bool = False
    """The thresholds that would give the highest Dice."""


class Tally:
    """Counts per level, one score line per sample, the confusion matrix and the best and worst panels.

    Args:
        stages: the last one is scored.
        manifest: of the evaluated dataset; not held, since a tally travels.
        measured: what else is.
    """

    def __init__(self, stages: Sequence[Stage], manifest: Manifest, measured: Measured) -> None:
        self.rows = 0
        self.levels = stages[-1].network.levels
        self._names = [entry.name for entry in manifest.classes]
        self._task, self._label_names = manifest.task, manifest.image_labels
        self.examples = Examples(KEPT_EXAMPLES)
        self.per_image = PerImage(self._names)
        self.stages = StageScores(stages, manifest)
        task, classes = manifest.task, manifest.num_classes
        self.metrics = SegmentationMetrics(classes, self.levels, task)
        self.labels = ImageLabelMetrics(len(manifest.image_labels))
        self.objects = None if manifest.instances is None else InstanceMetrics()
        self.calibration = Calibration(task)
        tolerance = measured.tolerance
        self.borders = None if tolerance is None else Borders(self._names, task, tolerance)
        search = OffsetSearch(classes) if task == "multiclass" else ThresholdSearch(classes, task)
        self.search = search if measured.thresholds else None
        size = max(classes, 2)  # a binary task has two classes and one logit
        self.confused = torch.zeros(size, size, dtype=torch.int64)

    @property
    def level(self) -> int:
        """The deepest level, the one whose scores are the headline."""
        return self.levels[-1]

    def merge(self, other: "Tally") -> None:
        """Add the samples of another, which come after these."""
        self.rows += other.rows
        self.confused += other.confused
        pairs: list[tuple[Any, Any]] = [
            (self.examples, other.examples),
            (self.per_image, other.per_image),
            (self.stages, other.stages),
            (self.metrics, other.metrics),
            (self.labels, other.labels),
            (self.objects, other.objects),
            (self.calibration, other.calibration),
            (self.borders, other.borders),
            (self.search, other.search),
        ]
        for ours, theirs in pairs:
            if ours is not None:
                ours.merge(theirs)

    def scores(self) -> dict[str, Any]:
        """dice, iou, dice_per_image, iou_per_image, precision, recall, accuracy, classes, levels; certainty,
        worst and most_uncertain, see `PerImage`; intervals, calibration, and the stages' gain and cost.

        Also those of borders where they were asked for, see `Borders.compute`; image_labels where the network
        has that head, see `ImageLabelMetrics.compute`; and objects in a dataset of them, see
        `InstanceMetrics.compute`.
        """
        scores = self.metrics.compute(self._names)
        scores |= {
            "intervals": self.per_image.intervals(),
            "calibration": self.calibration.compute(),
            "certainty": self.per_image.certainty(),
            "worst": self.per_image.worst(),
            "most_uncertain": self.per_image.most_uncertain(),
            "stages": self.stages.compute(),
            "cpu_ms": self.stages.cpu_ms(),
        }
        if self.borders is not None:
            scores |= self.borders.compute()
        if self.objects is not None:
            scores["objects"] = self.objects.compute()
        label_scores = self.labels.compute(self._label_names)
        return scores if label_scores is None else {**scores, "image_labels": label_scores}

    def confusion(self) -> dict[str, Any] | None:
        """Pixel counts, rows are the truth; None for a multilabel task, whose labels may overlap."""
        if self._task == "multilabel":
            return None
        labels = ["background", *self._names] if self._task == "binary" else self._names
        return {"labels": labels, "counts": self.confused.tolist()}
