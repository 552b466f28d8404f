"""Accumulates everything an evaluation reports while samples stream past.

Shapes: N samples, C image channels, K classes; a size is height and width, behind planes for volumes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unetpp.core.manifest import IGNORE, Manifest
from unetpp.data.dataset.sample import Sample
from unetpp.inference.evaluation.borders import Borders
from unetpp.inference.evaluation.examples import Examples
from unetpp.inference.evaluation.per_image import PerImage
from unetpp.inference.evaluation.stages import Predicted, Stage, Stages
from unetpp.inference.objects.find import find_objects
from unetpp.inference.overlay import panel_png
from unetpp.inference.predictor import masks_from_logits, probabilities_from_logits
from unetpp.models.output import ModelOutput
from unetpp.objective.boundary.scores import Tolerance
from unetpp.objective.calibration import Calibration
from unetpp.objective.certainty import CERTAINTIES, certainty
from unetpp.objective.counts import confusion_matrix, count_pixels
from unetpp.objective.image_labels import ImageLabelMetrics
from unetpp.objective.instances import InstanceMetrics
from unetpp.objective.metrics import SegmentationMetrics
from unetpp.objective.offsets import OffsetSearch
from unetpp.objective.thresholds import ThresholdSearch

__all__ = ["Measured", "Scorer"]

_KEPT_EXAMPLES = 4


@dataclass(frozen=True)
class Measured:
    """What is measured beside what always is."""

    tolerance: Tolerance | None = None
    """Of the surface Dice; None leaves borders out."""
    thresholds: bool = False
    """The thresholds that would give the highest Dice."""


class Scorer:
    """Counts per level, one score line per sample, the confusion matrix and the best and worst panels.

    Args:
        stages: see `Stages`; the last one is scored.
        manifest: of the evaluated dataset.
        device: where the networks are.
        measured: what else is.
    """

    def __init__(
        self, stages: Sequence[Stage], manifest: Manifest, device: torch.device, measured: Measured
    ) -> None:
        self.manifest, self.device = manifest, device
        self.rows = 0
        self.examples = Examples(_KEPT_EXAMPLES)
        self.per_image = PerImage([entry.name for entry in manifest.classes])
        self.stages = Stages(stages, manifest)
        self._levels = stages[-1].network.levels
        task, classes = manifest.task, manifest.num_classes
        self._metrics = SegmentationMetrics(classes, self._levels, task)
        self._labels = ImageLabelMetrics(len(manifest.image_labels))
        self._objects = None if manifest.instances is None else InstanceMetrics()
        self._calibration = Calibration(task)
        self._borders = None if measured.tolerance is None else Borders(manifest, measured.tolerance)
        search = OffsetSearch(classes) if task == "multiclass" else ThresholdSearch(classes, task)
        self.search = search if measured.thresholds else None
        size = max(classes, 2)  # a binary task has two classes and one logit
        self._confusion = torch.zeros(size, size, dtype=torch.int64)

    @property
    def level(self) -> int:
        """The deepest level, the one whose scores are the headline."""
        return self._levels[-1]

    @torch.inference_mode()
    def add(self, samples: Sequence[Sample]) -> None:
        """Predict and count samples of one size."""
        # (N, *size, C) -> (N, C, *size)
        pixels = torch.from_numpy(np.stack([sample.image for sample in samples])).movedim(-1, 1)
        truths = np.stack([sample.mask for sample in samples])
        masks = torch.from_numpy(truths).to(self.device)
        predicted = self.stages.add(pixels.to(self.device), masks)
        output, decided = predicted.output, predicted.decided
        scores = self._metrics.update(ModelOutput((*output.levels[:-1], decided), output.image), masks)
        known = [-1 if sample.label is None else sample.label for sample in samples]
        self._labels.update(output, torch.tensor(known, device=self.device))
        self._calibration.update(output.levels[-1], masks)
        if self.search is not None:
            self.search.update(output.levels[-1], masks)
        if self.manifest.task != "multilabel":
            self._confusion += confusion_matrix(decided, masks, len(self._confusion))
        self._add_lines(samples, predicted, masks, scores, truths)
        self.rows += len(samples)

    def scores(self) -> dict[str, Any]:
        """dice, iou, dice_per_image, iou_per_image, precision, recall, accuracy, classes, levels; certainty,
        worst and most_uncertain, see `PerImage`; intervals, calibration, and the stages' gain and cost.

        Also those of borders where they were asked for, see `Borders.compute`; image_labels where the network
        has that head, see `ImageLabelMetrics.compute`; and objects in a dataset of them, see
        `InstanceMetrics.compute`.
        """
        scores = self._metrics.compute([entry.name for entry in self.manifest.classes])
        scores |= {
            "intervals": self.per_image.intervals(),
            "calibration": self._calibration.compute(),
            "certainty": self.per_image.certainty(),
            "worst": self.per_image.worst(),
            "most_uncertain": self.per_image.most_uncertain(),
            "stages": self.stages.compute(),
            "cpu_ms": self.stages.cpu_ms(),
        }
        if self._borders is not None:
            scores |= self._borders.compute()
        if self._objects is not None:
            scores["objects"] = self._objects.compute()
        label_scores = self._labels.compute(self.manifest.image_labels)
        return scores if label_scores is None else {**scores, "image_labels": label_scores}

    def confusion(self) -> dict[str, Any] | None:
        """Pixel counts, rows are the truth; None for a multilabel task, whose labels may overlap."""
        if self.manifest.task == "multilabel":
            return None
        names = [entry.name for entry in self.manifest.classes]
        labels = ["background", *names] if self.manifest.task == "binary" else names
        return {"labels": labels, "counts": self._confusion.tolist()}

    def _add_lines(
        self,
        samples: Sequence[Sample],
        predicted: Predicted,
        masks: Tensor,
        scores: Tensor,
        truths: NDArray[np.uint8],
    ) -> None:
        levels, task = predicted.output.levels, self.manifest.task
        found = masks_from_logits(predicted.decided, task)
        certain = certainty(levels, masks_from_logits(levels[-1], task), task).tolist()
        counts = count_pixels(predicted.decided, masks, task).numpy()
        drawn = found.cpu().numpy()
        for row, sample in enumerate(samples):
            if self._objects is not None and sample.instances is not None:
                self._add_objects(self._objects, sample, levels[-1][row : row + 1], truths[row])
            if scores[:, row].isnan().any():
                continue
            line = self._line(sample, scores[:, row], certain[row])
            if self._borders is not None:
                line |= self._borders.add(sample, predicted.decided[row : row + 1], masks[row : row + 1])
            self.per_image.add(line, sample.group, counts[row])
            self.examples.offer(
                sample.sample_id,
                line["dice"],
                int(((truths[row] > 0) & (truths[row] != IGNORE)).sum()),
                partial(panel_png, sample.image, truths[row], drawn[row], self.manifest),
            )

    def _line(self, sample: Sample, scores: Tensor, certain: Sequence[float]) -> dict[str, Any]:
        pairs = zip(self._levels, scores.tolist(), strict=True)
        levels = {str(level): {"dice": dice, "iou": iou} for level, (dice, iou) in pairs}
        told = {
            name: value for name, value in zip(CERTAINTIES, certain, strict=True) if not math.isnan(value)
        }
        return {"sample_id": sample.sample_id, **levels[str(self.level)], "levels": levels, "certainty": told}

    def _add_objects(
        self, objects: InstanceMetrics, sample: Sample, logits: Tensor, truth: NDArray[np.uint8]
    ) -> None:
        chances = probabilities_from_logits(logits.float(), self.manifest.task)
        found = find_objects(chances[0].cpu().numpy(), self.manifest).ids
        counted = truth != IGNORE
        assert sample.instances is not None
        objects.update(np.where(counted, sample.instances, 0), np.where(counted, found, 0))
