"""Segmentation metrics of every level, from counts that are summed over images and workers.

Pooled values treat all pixels of all images as one; per-image values are means over images. Conventions:

- A class occurs if a pixel of it is in a target or a prediction. Macro values are means over the classes
  that occur; a class that does not has None for its values. If none occurs, all is right: macro values are 1.
- An image's score is the mean over the classes that occur in it; 1 where none does. `dice_per_image` and
  `iou_per_image` are the means of these, here and wherever scores of single images are kept or compared.
- Precision without a predicted pixel and recall without a true one are 0 for a class that occurs.
- Images without a single valid pixel count nowhere.
- Accuracy is over pixels (multilabel: over pixels and labels).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from unetpp.core.errors import InputError
from unetpp.core.manifest import Task
from unetpp.objective.counts import count_pixels
from unetpp.objective.targets import NetworkOutput

__all__ = ["SegmentationMetrics", "dice_iou", "image_scores"]

_SCORES = ("dice", "iou", "precision", "recall")


class SegmentationMetrics:
    """Accumulates one pass over a split.

    Args:
        num_classes: logit channels.
        levels: the network's supervised levels, in the order of its output.
        task: how masks and logits are read.
    """

    def __init__(self, num_classes: int, levels: Sequence[int], task: Task) -> None:
        self.num_classes = num_classes
        self.levels = tuple(levels)
        self.task: Task = task
        self.images = 0
        self.counts = torch.zeros(len(levels), num_classes, 4, dtype=torch.int64)
        self.image_sums = torch.zeros(len(levels), 2, dtype=torch.float64)

    def update(self, output: NetworkOutput, mask: Tensor, weight: Tensor | None = None) -> Tensor:
        """Add a batch and return the scores of its images.

        Args:
            output: a `ModelOutput`.
            mask: uint8 (N, *size), see `encode_target`.
            weight: bool (N,), False for images that do not count, such as a batch's padding.

        Returns:
            float64 (levels, N, 2): Dice and IoU of each image, NaN for one that does not count.
        """
        # (levels, N, C, 4), one transfer for all levels
        per_level = torch.stack([count_pixels(logits, mask, self.task) for logits in output[0]]).cpu()
        if weight is not None:
            per_level[:, ~weight.cpu()] = 0
        scores = image_scores(per_level)
        counted = ~scores[0].isnan().any(-1)
        self.images += int(counted.sum())
        self.counts += per_level.sum(1)
        self.image_sums += scores[:, counted].sum(1)
        return scores

    def merge(self, other: "SegmentationMetrics") -> None:
        """Add what another, of the same classes and levels, has accumulated."""
        self.images += other.images
        self.counts += other.counts
        self.image_sums += other.image_sums

    def state(self) -> Tensor:
        """Everything accumulated, flat float64; workers' states add up, exactly below 2**53 pixels."""
        images = torch.tensor([self.images], dtype=torch.float64)
        return torch.cat([images, self.counts.double().flatten(), self.image_sums.flatten()])

    def load_state(self, state: Tensor) -> None:
        """Replace what was accumulated, by a sum of states for instance."""
        pixels = self.counts.numel()
        images, counts, sums = state[0], state[1 : 1 + pixels], state[1 + pixels :]
        self.images = int(images)
        self.counts = counts.cpu().long().view_as(self.counts)
        self.image_sums = sums.cpu().view_as(self.image_sums)

    def compute(self, class_names: Sequence[str]) -> dict[str, Any]:
        """The metrics as plain numbers, ready for JSON.

        Returns:
            dice, iou, dice_per_image, iou_per_image, precision, recall, accuracy and `classes` (name, dice,
            iou, precision, recall; None where a class does not occur) of the deepest level; `levels` has
            the numbers of each level by its name.

        Raises:
            InputError: no image was counted.
        """
        if self.images == 0:
            raise InputError(
                "no image with a valid pixel was scored; the split is empty or all its pixels are ignored"
            )
        scalars = [self._scalars(index) for index in range(len(self.levels))]
        deepest = self.levels.index(max(self.levels))
        return {
            **scalars[deepest],
            "classes": self._classes(deepest, class_names),
            "levels": {str(level): values for level, values in zip(self.levels, scalars, strict=True)},
        }

    def _scalars(self, index: int) -> dict[str, float]:
        counts, occurs = self.counts[index], _occurs(self.counts[index])
        pooled = _macro(_pooled_scores(counts), occurs)
        per_image = (self.image_sums[index] / self.images).tolist()
        return {
            **dict(zip(_SCORES, pooled, strict=True)),
            "dice_per_image": per_image[0],
            "iou_per_image": per_image[1],
            "accuracy": _accuracy(counts, self.task),
        }

    def _classes(self, index: int, names: Sequence[str]) -> list[dict[str, Any]]:
        counts = self.counts[index]
        rows = []
        for name, scores, occurs in zip(names, _pooled_scores(counts).tolist(), _occurs(counts), strict=True):
            rows.append({"name": name, **dict(zip(_SCORES, scores if occurs else [None] * 4, strict=True))})
        return rows


def dice_iou(counts: Tensor) -> Tensor:
    """int64 (..., 4) -> float64 (..., 2); 1 where neither target nor prediction has a pixel."""
    tp, fp, fn, _ = counts.double().unbind(-1)
    wrong = fp + fn
    empty = tp + wrong == 0
    dice = torch.where(empty, 1.0, 2 * tp / (2 * tp + wrong))
    iou = torch.where(empty, 1.0, tp / (tp + wrong))
    return torch.stack([dice, iou], -1)


def image_scores(counts: Tensor) -> Tensor:
    """Dice and IoU of single images: int64 (..., C, 4) counts to float64 (..., 2).

    The mean over the classes that occur in the image's target or prediction; 1 where none does, NaN for an
    image without a valid pixel.
    """
    occurs = _occurs(counts)
    sums = (dice_iou(counts) * occurs.unsqueeze(-1)).sum(-2)
    number = occurs.sum(-1, keepdim=True)
    scores = torch.where(number > 0, sums / number.clamp(min=1), 1.0)
    return torch.where(counts.sum((-2, -1)).unsqueeze(-1) > 0, scores, torch.nan)


def _pooled_scores(counts: Tensor) -> Tensor:
    """int64 (C, 4) -> float64 (C, 4): dice, iou, precision, recall."""
    tp, fp, fn, _ = counts.double().unbind(-1)
    precision = tp / (tp + fp).clamp(min=1)
    recall = tp / (tp + fn).clamp(min=1)
    return torch.cat([dice_iou(counts), precision.unsqueeze(-1), recall.unsqueeze(-1)], -1)


def _occurs(counts: Tensor) -> Tensor:
    """int64 (..., C, 4) -> bool (..., C)."""
    return counts[..., :3].sum(-1) > 0


def _macro(values: Tensor, occurs: Tensor) -> list[float]:
    """float64 (C, K) -> K means over the classes that occur; 1 where none does."""
    if not occurs.any():
        return [1.0] * values.shape[1]
    means: list[float] = values[occurs].mean(0).tolist()
    return means


def _accuracy(counts: Tensor, task: Task) -> float:
    tp, tn = int(counts[:, 0].sum()), int(counts[:, 3].sum())
    # Of a multiclass task, each pixel is counted once per class and is right in exactly one as a tp.
    pixels = int(counts[0].sum()) if task == "multiclass" else int(counts.sum())
    right = tp if task == "multiclass" else tp + tn
    return right / pixels
