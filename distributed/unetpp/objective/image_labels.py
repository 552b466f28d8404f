"""Scores of the image-level head, from a confusion matrix that is summed over images and workers."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from unetpp.objective.targets import NetworkOutput

__all__ = ["ImageLabelMetrics"]


class ImageLabelMetrics:
    """Accumulates one pass over a split; images without a label do not count.

    Args:
        num_labels: classes of the image-level head; with 0 nothing is counted.
    """

    def __init__(self, num_labels: int) -> None:
        # (truth, predicted)
        self.confusion = torch.zeros(num_labels, num_labels, dtype=torch.int64)

    def update(self, output: NetworkOutput, labels: Tensor, weight: Tensor | None = None) -> None:
        """Add a batch.

        Args:
            output: a `ModelOutput`.
            labels: int64 (N,), -1 where unknown.
            weight: bool (N,), False for images that do not count.
        """
        logits = output[1]
        if logits is None:
            return
        counted = labels >= 0 if weight is None else (labels >= 0) & weight
        pairs = labels[counted] * len(self.confusion) + logits.argmax(1)[counted]
        self.confusion += torch.bincount(pairs.cpu(), minlength=self.confusion.numel()).view_as(
            self.confusion
        )

    def merge(self, other: "ImageLabelMetrics") -> None:
        """Add what another has accumulated."""
        self.confusion += other.confusion

    def state(self) -> Tensor:
        """Everything accumulated, flat float64; workers' states add up."""
        return self.confusion.double().flatten()

    def load_state(self, state: Tensor) -> None:
        """Replace what was accumulated, by a sum of states for instance."""
        self.confusion = state.cpu().long().view_as(self.confusion)

    def compute(self, names: Sequence[str]) -> dict[str, Any] | None:
        """The metrics as plain numbers; None if no image with a label was counted.

        Returns:
            images, accuracy, `classes` (name, images, precision, recall; None where nothing was to find or
            was found) and the confusion matrix, rows are the truth.
        """
        images = int(self.confusion.sum())
        if images == 0:
            return None
        right = self.confusion.diagonal()
        return {
            "images": images,
            "accuracy": int(right.sum()) / images,
            "classes": [
                {
                    "name": name,
                    "images": truth,
                    "precision": found / predicted if predicted else None,
                    "recall": found / truth if truth else None,
                }
                for name, found, truth, predicted in zip(
                    names,
                    right.tolist(),
                    self.confusion.sum(1).tolist(),
                    self.confusion.sum(0).tolist(),
                    strict=True,
                )
            ],
            "confusion": self.confusion.tolist(),
        }
