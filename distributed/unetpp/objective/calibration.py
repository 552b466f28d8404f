"""Whether probabilities are what they say: reliability by bins, and the expected calibration error.

Of 15 bins of equal width as in Guo et al. 2017. Binary and multilabel tasks compare the probability of each
label with how often it is true; multiclass tasks the largest probability with how often its class is right.
Sums over pixels add up over images.
"""

from typing import Any

import torch
from torch import Tensor

from unetpp.core.manifest import Task
from unetpp.objective.targets import encode_target

__all__ = ["BINS", "Calibration"]

BINS = 15


class Calibration:
    """Sums over bins: pixels, their probabilities, how many are true."""

    def __init__(self, task: Task) -> None:
        self._task: Task = task
        self._sums = torch.zeros(3, BINS, dtype=torch.float64)

    def update(self, logits: Tensor, mask: Tensor) -> None:
        """Add images.

        Args:
            logits: (N, C, *size).
            mask: uint8 (N, *size), see `encode_target`; ignored pixels do not count.
        """
        chances, right = self._compared(logits.float(), mask)
        bins = (chances * BINS).long().clamp_(max=BINS - 1)
        weights = (None, chances.double(), right.double())
        self._sums += torch.stack([torch.bincount(bins, each, BINS).double() for each in weights]).cpu()

    def merge(self, other: "Calibration") -> None:
        """Add what another has accumulated."""
        self._sums += other._sums

    def compute(self) -> dict[str, Any] | None:
        """ece, max_error, and bins [{probability, frequency, share}] of those that have pixels; or None."""
        pixels, chances, right = self._sums
        total = float(pixels.sum())
        if not total:
            return None
        used = pixels > 0
        shares = pixels[used] / total
        probability, frequency = chances[used] / pixels[used], right[used] / pixels[used]
        gaps = (probability - frequency).abs()
        columns = (probability.tolist(), frequency.tolist(), shares.tolist())
        bins = [
            dict(zip(("probability", "frequency", "share"), row, strict=True))
            for row in zip(*columns, strict=True)
        ]
        return {"ece": float((gaps * shares).sum()), "max_error": float(gaps.max()), "bins": bins}

    def _compared(self, logits: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities and whether they were right, both of the pixels that count."""
        if self._task == "multiclass":
            counted = mask < logits.shape[1]
            chances, classes = logits.softmax(1).max(1)
            return chances[counted], (classes == mask)[counted]
        encoded = encode_target(mask, self._task, logits.shape[1])
        counted = encoded.valid.bool().expand_as(logits)
        return logits.sigmoid()[counted], encoded.target[counted]
