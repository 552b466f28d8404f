"""Integer pixel counts, from which every metric is made: they add up over images, batches and workers."""

import torch
from torch import Tensor

from unetpp.core.manifest import Task
from unetpp.objective.targets import encode_target

__all__ = ["confusion_matrix", "count_pixels", "positive_pixels", "predicted_classes"]


def count_pixels(logits: Tensor, mask: Tensor, task: Task) -> Tensor:
    """True positives, false positives, false negatives and true negatives of each image and class.

    Args:
        logits: (N, C, *size); positive where above 0, or the largest of the pixel (multiclass).
        mask: uint8 (N, *size), see `encode_target`; ignored pixels count nowhere.

    Returns:
        int64 (N, C, 4).
    """
    encoded = encode_target(mask, task, logits.shape[1])
    target, valid = encoded.target.bool(), encoded.valid.bool()
    predicted = positive_pixels(logits, task)
    tp, positive, true = (_count(part) for part in (predicted & target, predicted & valid, target))
    fp, fn = positive - tp, true - tp
    return torch.stack([tp, fp, fn, _count(valid) - tp - fp - fn], -1)


def positive_pixels(logits: Tensor, task: Task) -> Tensor:
    """Which pixels are predicted to be of each class; bool, the shape of the logits (N, C, *size)."""
    if task != "multiclass":
        return logits > 0
    channels = torch.arange(logits.shape[1], device=logits.device).view(1, -1, *[1] * (logits.ndim - 2))
    return logits.argmax(1, keepdim=True) == channels


def confusion_matrix(logits: Tensor, mask: Tensor, num_classes: int) -> Tensor:
    """Pixels by (true class, predicted class) of a binary or multiclass task.

    Args:
        logits: (N, C, *size); a single channel decides between background and foreground.
        mask: uint8 (N, *size); values from num_classes on count nowhere.
        num_classes: rows and columns; 2 for a binary task.

    Returns:
        int64 (num_classes, num_classes).
    """
    valid = mask < num_classes
    pairs = mask[valid].long() * num_classes + predicted_classes(logits)[valid]
    return torch.bincount(pairs, minlength=num_classes**2).view(num_classes, num_classes)


def predicted_classes(logits: Tensor) -> Tensor:
    """Class index of each pixel, int64 (N, *size)."""
    return (logits[:, 0] > 0).long() if logits.shape[1] == 1 else logits.argmax(1)


def _count(flags: Tensor) -> Tensor:
    """bool (N, C, *size) -> int64 (N, C)."""
    return flags.flatten(2).sum(-1)
