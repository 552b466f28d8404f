"""The mean of several predictions, taken over probabilities.

It is returned as logits whose probabilities are the mean, so that whatever follows, such as blending of
windows, thresholds and masks, is that of a single network.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from unetpp.core.manifest import Task
from unetpp.models.output import ModelOutput

__all__ = ["average_logits", "average_outputs"]

_LEAST = 1e-30
"""Probabilities below it count as it: a logit stays finite."""


def average_outputs(outputs: Iterable[ModelOutput], task: Task) -> ModelOutput:
    """The mean of each level, and of the image-level classes where the first has them; one is held at a time.

    Args:
        outputs: one or more, of the same levels.
        task: how logits are read.
    """
    levels: list[_Mean] = []
    image = _Mean("multiclass")
    for output in outputs:
        levels = levels or [_Mean(task) for _ in output.levels]
        for mean, logits in zip(levels, output.levels, strict=True):
            mean.add(logits)
        if output.image is not None:
            image.add(output.image)
    return ModelOutput(tuple(mean.logits() for mean in levels), image.logits() if image.number else None)


def average_logits(logits: Iterable[Tensor], task: Task) -> Tensor:
    """The mean of one or more logits (N, K, *size); a single one is returned as it is."""
    mean = _Mean(task)
    for each in logits:
        mean.add(each)
    return mean.logits()


class _Mean:
    """Sums of p and, where labels may overlap, of 1 - p: their quotient is exact for p near 1."""

    def __init__(self, task: Task) -> None:
        self._exclusive = task == "multiclass"
        self._first: Tensor | None = None
        self._sums: list[Tensor] = []
        self.number = 0

    def add(self, logits: Tensor) -> None:
        self.number += 1
        if self._first is None:
            self._first = logits
            return
        if not self._sums:
            self._sums = self._chances(self._first)
        for total, chances in zip(self._sums, self._chances(logits), strict=True):
            total += chances

    def logits(self) -> Tensor:
        assert self._first is not None
        if not self._sums:
            return self._first
        if self._exclusive:
            return (self._sums[0] / self.number).clamp(min=_LEAST).log()
        positive, negative = (total.clamp(min=_LEAST).log() for total in self._sums)
        return positive - negative

    def _chances(self, logits: Tensor) -> list[Tensor]:
        values = logits.float()
        return [values.softmax(1)] if self._exclusive else [torch.sigmoid(values), torch.sigmoid(-values)]
