"""The threshold of each label that gives the highest pooled Dice, from a histogram of probabilities."""

from collections.abc import Sequence

import torch
from torch import Tensor

from unetpp.core.manifest import Task
from unetpp.objective.targets import encode_target

__all__ = ["ThresholdSearch"]

_BINS = 1000
_RANGE = (0.05, 0.95)
"""Thresholds beyond it follow few pixels of the split and not the task."""


class ThresholdSearch:
    """Counts of true and other pixels by probability, which add up over images.

    Args:
        num_classes: logit channels.
        task: binary or multilabel.
    """

    def __init__(self, num_classes: int, task: Task) -> None:
        self._task: Task = task
        self._counts = torch.zeros(num_classes, 2, _BINS, dtype=torch.int64)

    def update(self, logits: Tensor, mask: Tensor) -> None:
        """Add logits (N, C, *size) and masks uint8 (N, *size), see `encode_target`."""
        encoded = encode_target(mask, self._task, logits.shape[1])
        counted = encoded.valid[:, 0].bool()
        bins = (logits.float().sigmoid() * _BINS).long().clamp_(max=_BINS - 1)
        for label, by_truth in enumerate(self._counts):
            codes = encoded.target[:, label][counted].long() * _BINS + bins[:, label][counted]
            by_truth += torch.bincount(codes, minlength=2 * _BINS).view(2, _BINS).cpu()

    def merge(self, other: "ThresholdSearch") -> None:
        """Add what another has accumulated."""
        self._counts += other._counts

    def best(self) -> tuple[float, ...]:
        """The threshold of each label, in steps of 1 / 1000; one half of a label without a true pixel.

        Of thresholds with the same Dice the one nearest to one half.
        """
        dice = self._dice()
        thresholds = torch.arange(_BINS, dtype=torch.float64) / _BINS
        allowed = (thresholds >= _RANGE[0]) & (thresholds <= _RANGE[1])
        # The distance from one half only breaks ties.
        merit = torch.where(allowed, dice - 1e-9 * (thresholds - 0.5).abs(), -1.0)
        found = thresholds[merit.argmax(1)]
        is_there = self._counts[:, 1].sum(1) > 0
        return tuple(torch.where(is_there, found, 0.5).tolist())

    def dice(self, thresholds: Sequence[float]) -> list[float]:
        """Pooled Dice of each label at its threshold."""
        at = [round(threshold * _BINS) for threshold in thresholds]
        return self._dice()[torch.arange(len(at)), at].tolist()

    def _dice(self) -> Tensor:
        """float64 (C, BINS), at the thresholds 0, 1 / BINS, 2 / BINS ..."""
        others, true = self._counts.unbind(1)
        # Positive at threshold b / BINS: all bins from b on.
        tp, fp = (counts.flip(1).cumsum(1).flip(1).double() for counts in (true, others))
        total = true.sum(1, keepdim=True).double()
        dice: Tensor = 2 * tp / (tp + fp + total).clamp(min=1)
        return dice
