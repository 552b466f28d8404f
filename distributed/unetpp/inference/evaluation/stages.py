"""What each improvement of the masks brings and costs: the same images, predicted step by step.

The first stage is the network as it is, each further one adds to the one before; of several networks each
alone comes first. A stage that reads the same network's logits otherwise does not compute them anew.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unetpp.core.manifest import Manifest
from unetpp.inference.engines.network import Network
from unetpp.inference.masks.decide import Decision
from unetpp.models.output import ModelOutput
from unetpp.objective.metrics import SegmentationMetrics
from unetpp.objective.statistics.paired import compare_paired, corrected

__all__ = ["Predicted", "Stage", "StageScores", "predict_stages"]

_COMPARED_IMAGES = 20_000
"""More would take minutes to compare."""


@dataclass(frozen=True)
class Stage:
    """A network and how its logits are read."""

    name: str
    network: Network
    decision: Decision


@dataclass(frozen=True)
class Predicted:
    """What the last stage says of a batch."""

    output: ModelOutput
    """As the network gives it."""
    decided: Tensor
    """Logits (N, K, *size) of the level that predicts, see `Decision.apply`."""


class StageScores:
    """What each stage scores and takes.

    Args:
        stages: first to last, at least one.
        manifest: of the evaluated dataset.
    """

    def __init__(self, stages: Sequence[Stage], manifest: Manifest) -> None:
        self._names = [stage.name for stage in stages]
        self._classes = [entry.name for entry in manifest.classes]
        count, task = manifest.num_classes, manifest.task
        self._metrics = [SegmentationMetrics(count, [stage.network.level], task) for stage in stages]
        self._dice: list[list[Tensor]] = [[] for _ in stages]
        self._cpu_s = [0.0] * len(stages)
        self._images = 0

    def add(self, decided: Sequence[Tensor], masks: Tensor, cpu_s: Sequence[float]) -> None:
        """Add a batch: each stage's logits (N, K, *size), masks uint8 (N, *size), each stage's time."""
        self._cpu_s = [total + taken for total, taken in zip(self._cpu_s, cpu_s, strict=True)]
        self._images += len(masks)
        if len(decided) < 2:
            return
        for metrics, dice, logits in zip(self._metrics, self._dice, decided, strict=True):
            dice.append(metrics.update(ModelOutput((logits,), None), masks)[0, :, 0])

    def merge(self, other: "StageScores") -> None:
        """Add the images of another, which come after these."""
        self._cpu_s = [total + taken for total, taken in zip(self._cpu_s, other._cpu_s, strict=True)]
        self._images += other._images
        for metrics, theirs in zip(self._metrics, other._metrics, strict=True):
            metrics.merge(theirs)
        for dice, added in zip(self._dice, other._dice, strict=True):
            dice += added

    def cpu_ms(self) -> float:
        """Processor time of the last stage, for one image."""
        return 1000 * self._cpu_s[-1] / max(self._images, 1)

    def compute(self) -> list[dict[str, Any]]:
        """Each stage: masks (its name), dice, iou, dice_per_image, cpu_ms; from the second on also gain.

        The gain is the paired difference of the images' Dice from the first stage, see `Comparison`; None of
        fewer than two images. Empty of one stage alone.
        """
        if len(self._names) < 2:
            return []
        rows = [self._row(index, name) for index, name in enumerate(self._names)]
        return [rows[0], *(row | {"gain": gain} for row, gain in zip(rows[1:], self._gains(), strict=True))]

    def _row(self, index: int, name: str) -> dict[str, Any]:
        scores = self._metrics[index].compute(self._classes)
        kept = {key: scores[key] for key in ("dice", "iou", "dice_per_image")}
        return {"masks": name, **kept, "cpu_ms": 1000 * self._cpu_s[index] / max(self._images, 1)}

    def _gains(self) -> list[dict[str, Any] | None]:
        first, *others = (torch.cat(dice).numpy() for dice in self._dice)
        known = np.flatnonzero(~np.isnan(first))
        if not 2 <= len(known) <= _COMPARED_IMAGES:
            return [None] * len(others)
        before, *after = ({str(n): float(dice[n]) for n in known} for dice in (first, *others))
        return [found.to_json() for found in corrected([compare_paired(before, each) for each in after])]


def predict_stages(
    stages: Sequence[Stage], manifest: Manifest, pixels: Tensor, masks: Tensor, scores: StageScores
) -> Predicted:
    """Predict a batch with every stage in turn, and add what they score and take.

    Args:
        stages: those of `scores`.
        manifest: of the evaluated dataset.
        pixels: raw (N, C, *size), where the networks are.
        masks: uint8 (N, *size), likewise.
        scores: are added to.
    """
    network: Network | None = None
    output = ModelOutput((), None)
    taken_s = 0.0
    decided: list[Tensor] = []
    cpu_s: list[float] = []
    for stage in stages:
        if stage.network is not network:
            started_s = time.process_time()
            output, network = stage.network.outputs(pixels), stage.network
            taken_s = time.process_time() - started_s
        started_s = time.process_time()
        decided.append(stage.decision.apply(output.levels[-1], manifest))
        cpu_s.append(taken_s + time.process_time() - started_s)
    scores.add(decided, masks, cpu_s)
    return Predicted(output, decided[-1])
