"""Predicts samples and adds what is found to a tally.

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
from unetpp.inference.evaluation.examples import Candidate, Examples
from unetpp.inference.evaluation.stages import Predicted, Stage, predict_stages
from unetpp.inference.evaluation.tally import KEPT_EXAMPLES, Measured, Tally
from unetpp.inference.objects.find import find_objects
from unetpp.inference.overlay import panel_png
from unetpp.inference.predictor import masks_from_logits, probabilities_from_logits
from unetpp.models.output import ModelOutput
from unetpp.objective.certainty import CERTAINTIES, certainty
from unetpp.objective.counts import confusion_matrix, count_pixels
from unetpp.objective.instances import InstanceMetrics

__all__ = ["Scorer"]


class Scorer:
    """Scores batches with the networks of one process.

    Args:
        stages: see `predict_stages`; the last one is scored.
        manifest: of the evaluated dataset.
        device: where the networks are.
        measured: what else is.
    """

    def __init__(
        self, stages: Sequence[Stage], manifest: Manifest, device: torch.device, measured: Measured
    ) -> None:
        self._stages, self._manifest, self._device = tuple(stages), manifest, device
        self._measured = measured
        # A panel that is none of the best and worst of this process is none of them all, and is not drawn.
        self._drawn = Examples(KEPT_EXAMPLES)

    def tally(self) -> Tally:
        """An empty one."""
        return Tally(self._stages, self._manifest, self._measured)

    @torch.inference_mode()
    def add(self, samples: Sequence[Sample], tally: Tally, first: int) -> None:
        """Predict and count samples of one size.

        Args:
            samples: neighbours in their split.
            tally: is added to.
            first: the first sample's place in the split.
        """
        # (N, *size, C) -> (N, C, *size)
        pixels = torch.from_numpy(np.stack([sample.image for sample in samples])).movedim(-1, 1)
        truths = np.stack([sample.mask for sample in samples])
        masks = torch.from_numpy(truths).to(self._device)
        predicted = predict_stages(self._stages, self._manifest, pixels.to(self._device), masks, tally.stages)
        output, decided = predicted.output, predicted.decided
        scores = tally.metrics.update(ModelOutput((*output.levels[:-1], decided), output.image), masks)
        known = [-1 if sample.label is None else sample.label for sample in samples]
        tally.labels.update(output, torch.tensor(known, device=self._device))
        tally.calibration.update(output.levels[-1], masks)
        if tally.search is not None:
            tally.search.update(output.levels[-1], masks)
        if self._manifest.task != "multilabel":
            tally.confused += confusion_matrix(decided, masks, len(tally.confused))
        self._add_lines(samples, predicted, scores, (truths, first), tally)
        tally.rows += len(samples)

    def _add_lines(
        self,
        samples: Sequence[Sample],
        predicted: Predicted,
        scores: Tensor,
        truths_from: tuple[NDArray[np.uint8], int],
        tally: Tally,
    ) -> None:
        levels, manifest, (truths, first) = predicted.output.levels, self._manifest, truths_from
        task, masks = manifest.task, torch.from_numpy(truths).to(self._device)
        drawn = masks_from_logits(predicted.decided, task).cpu().numpy()
        certain = certainty(levels, masks_from_logits(levels[-1], task), task).tolist()
        counts = count_pixels(predicted.decided, masks, task).numpy()
        for row, sample in enumerate(samples):
            if tally.objects is not None and sample.instances is not None:
                self._add_objects(tally.objects, sample, levels[-1][row : row + 1], truths[row])
            if scores[:, row].isnan().any():
                continue
            line = _line(sample, tally.levels, scores[:, row], certain[row])
            if tally.borders is not None:
                line |= tally.borders.add(sample, predicted.decided[row : row + 1], masks[row : row + 1])
            tally.per_image.add(line, sample.group, counts[row])
            foreground_px = int(((truths[row] > 0) & (truths[row] != IGNORE)).sum())
            candidate = Candidate(sample.sample_id, line["dice"], foreground_px, first + row)
            draw = partial(panel_png, sample.image, truths[row], drawn[row], manifest)
            if (example := self._drawn.offer(candidate, draw)) is not None:
                tally.examples.offer(candidate, partial(bytes, example.panel))

    def _add_objects(
        self, objects: InstanceMetrics, sample: Sample, logits: Tensor, truth: NDArray[np.uint8]
    ) -> None:
        chances = probabilities_from_logits(logits.float(), self._manifest.task)
        found = find_objects(chances[0].cpu().numpy(), self._manifest).ids
        counted = truth != IGNORE
        assert sample.instances is not None
        objects.update(np.where(counted, sample.instances, 0), np.where(counted, found, 0))


def _line(sample: Sample, numbers: Sequence[int], scores: Tensor, certain: Sequence[float]) -> dict[str, Any]:
    pairs = zip(numbers, scores.tolist(), strict=True)
    levels = {str(level): {"dice": dice, "iou": iou} for level, (dice, iou) in pairs}
    told = {name: value for name, value in zip(CERTAINTIES, certain, strict=True) if not math.isnan(value)}
    return {"sample_id": sample.sample_id, **levels[str(numbers[-1])], "levels": levels, "certainty": told}
