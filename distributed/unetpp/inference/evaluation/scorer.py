"""Accumulates everything an evaluation reports while samples stream past.

Shapes: N samples, C image channels, K classes; a size is height and width, behind planes for volumes.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unetpp.core.manifest import IGNORE, Manifest
from unetpp.data.dataset.sample import Sample
from unetpp.inference.evaluation.examples import Examples
from unetpp.inference.objects.find import find_objects
from unetpp.inference.overlay import panel_png
from unetpp.inference.predictor import masks_from_logits, probabilities_from_logits
from unetpp.models.deployed import autocast, for_inference
from unetpp.models.inference import predict_logits
from unetpp.models.load import LoadedRun
from unetpp.models.output import ModelOutput
from unetpp.objective.boundary.hd95 import hausdorff95
from unetpp.objective.certainty import CERTAINTIES, certainty, ranking
from unetpp.objective.counts import confusion_matrix
from unetpp.objective.image_labels import ImageLabelMetrics
from unetpp.objective.instances import InstanceMetrics
from unetpp.objective.metrics import SegmentationMetrics

__all__ = ["Scorer"]

_KEPT_EXAMPLES = 4


class Scorer:
    """Counts per level, one score line per sample, the confusion matrix and the best and worst panels."""

    def __init__(self, run: LoadedRun, manifest: Manifest, device: torch.device, *, hd95: bool) -> None:
        self.manifest = manifest
        self.device = device
        self.window_px, self._least_px = run.config.window_px, run.config.patch_px
        self.rows = 0
        self.per_image: list[dict[str, Any]] = []
        self.examples = Examples(_KEPT_EXAMPLES)
        self._model = for_inference(run.model, device)
        self._normalise = run.normalise.to(device)
        self._levels = run.model.supervised_levels
        self._metrics = SegmentationMetrics(manifest.num_classes, self._levels, manifest.task)
        self._labels = ImageLabelMetrics(len(manifest.image_labels))
        self._objects = None if manifest.instances is None else InstanceMetrics()
        self._hd95: list[Tensor] | None = [] if hd95 else None
        self._hd95_mm: list[Tensor] = []
        """Of the samples whose files tell their spacing."""
        size = max(manifest.num_classes, 2)  # a binary task has two classes and one logit
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
        with autocast(self._model, self.device):
            output = predict_logits(
                self._model,
                self._normalise(pixels.to(self.device)),
                window_px=self.window_px,
                least_px=self._least_px,
            )
        scores = self._metrics.update(output, masks)
        known = [-1 if sample.label is None else sample.label for sample in samples]
        self._labels.update(output, torch.tensor(known, device=self.device))
        if self._hd95 is not None:
            self._hd95.append(hausdorff95(output.levels[-1], masks, self.manifest.task).cpu())
            self._hd95_mm += [
                hausdorff95(output.levels[-1][n : n + 1], masks[n : n + 1], self.manifest.task, spacing).cpu()
                for n, sample in enumerate(samples)
                if (spacing := _spacing_mm(sample)) is not None
            ]
        if self.manifest.task != "multilabel":
            self._confusion += confusion_matrix(output.levels[-1], masks, len(self._confusion))
        self._add_lines(samples, output, scores, truths)
        self.rows += len(samples)

    def scores(self) -> dict[str, Any]:
        """dice, iou, dice_per_image, iou_per_image, precision, recall, accuracy, classes, levels, certainty.

        `certainty` is how well each measure of it ranks the images by Dice, see `ranking`.

        Also hd95_px where it was asked for: the mean over images and classes that have both borders, and
        hd95_mm where every file tells its spacing; image_labels where the network has that head, see
        `ImageLabelMetrics.compute`; and objects in a dataset of them, see `InstanceMetrics.compute`.
        """
        scores = self._metrics.compute([entry.name for entry in self.manifest.classes])
        scores["certainty"] = self._certainty()
        if self._hd95 is not None:
            scores["hd95_px"] = float(torch.cat(self._hd95).nanmean())
            if self.rows and len(self._hd95_mm) == self.rows:
                scores["hd95_mm"] = float(torch.cat(self._hd95_mm).nanmean())
        if self._objects is not None:
            scores["objects"] = self._objects.compute()
        label_scores = self._labels.compute(self.manifest.image_labels)
        return scores if label_scores is None else {**scores, "image_labels": label_scores}

    def _certainty(self) -> dict[str, dict[str, float]]:
        """By measure, those that rank the images at all."""
        dice = np.array([line["dice"] for line in self.per_image])
        found = {
            name: ranking(np.array([line["certainty"].get(name, np.nan) for line in self.per_image]), dice)
            for name in CERTAINTIES
        }
        return {name: scores for name, scores in found.items() if scores is not None}

    def confusion(self) -> dict[str, Any] | None:
        """Pixel counts, rows are the truth; None for a multilabel task, whose labels may overlap."""
        if self.manifest.task == "multilabel":
            return None
        names = [entry.name for entry in self.manifest.classes]
        labels = ["background", *names] if self.manifest.task == "binary" else names
        return {"labels": labels, "counts": self._confusion.tolist()}

    def _add_lines(
        self, samples: Sequence[Sample], output: ModelOutput, scores: Tensor, truths: NDArray[np.uint8]
    ) -> None:
        logits = output.levels[-1]
        masks = masks_from_logits(logits, self.manifest.task)
        certain = certainty(output.levels, masks, self.manifest.task).tolist()
        predicted = masks.cpu().numpy()
        for row, sample in enumerate(samples):
            if self._objects is not None and sample.instances is not None:
                chances = probabilities_from_logits(logits[row : row + 1].float(), self.manifest.task)
                found = find_objects(chances[0].cpu().numpy(), self.manifest).ids
                counted = truths[row] != IGNORE
                self._objects.update(np.where(counted, sample.instances, 0), np.where(counted, found, 0))
            if scores[:, row].isnan().any():
                continue
            pairs = zip(self._levels, scores[:, row].tolist(), strict=True)
            levels = {str(level): {"dice": dice, "iou": iou} for level, (dice, iou) in pairs}
            headline = levels[str(self.level)]
            named = zip(CERTAINTIES, certain[row], strict=True)
            told = {name: value for name, value in named if not math.isnan(value)}
            self.per_image.append(
                {"sample_id": sample.sample_id, **headline, "levels": levels, "certainty": told}
            )
            self.examples.offer(
                sample.sample_id,
                headline["dice"],
                int(((truths[row] > 0) & (truths[row] != IGNORE)).sum()),
                partial(panel_png, sample.image, truths[row], predicted[row], self.manifest),
            )


def _spacing_mm(sample: Sample) -> tuple[float, ...] | None:
    spacing = () if sample.space is None else sample.space.spacing_mm
    return spacing if len(spacing) == sample.mask.ndim else None
