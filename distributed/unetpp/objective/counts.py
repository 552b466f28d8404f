"""Integer pixel counts, from which every metric is made: they add up over images, batches and workers."""

import torch
from torch import Tensor

from unetpp.core.manifest import Task
from unetpp.objective.targets import IGNORE_BIT

__all__ = ["confusion_matrix", "count_pixels", "positive_pixels", "predicted_classes"]


def count_pixels(logits: Tensor, mask: Tensor, task: Task) -> Tensor:
    """True positives, false positives, false negatives and true negatives of each image and class.

    Args:
        logits: (N, C, *size); positive where above 0, or the largest of the pixel (multiclass).
        mask: uint8 (N, *size), see `encode_target`; ignored pixels count nowhere.

    Returns:
        int64 (N, C, 4), on the CPU.
    """
    if task == "multiclass":
        return _one_against_all(_confusions(mask, predicted_classes(logits), logits.shape[1]))
    if task == "binary":
        return _of_two(_confusions(mask, predicted_classes(logits), 2)).unsqueeze(1)
    ignored = mask >= IGNORE_BIT
    labels = []
    for label, chances in enumerate(logits.unbind(1)):
        true = (mask >> label & 1).masked_fill(ignored, 2)
        labels.append(_of_two(_confusions(true, (chances > 0).byte(), 2)))
    return torch.stack(labels, 1)


def positive_pixels(logits: Tensor, task: Task) -> Tensor:
    """Which pixels are predicted to be of each class; bool, the shape of the logits (N, C, *size)."""
    if task != "multiclass":
        return logits > 0
    channels = torch.arange(logits.shape[1], device=logits.device).view(1, -1, *[1] * (logits.ndim - 2))
    return predicted_classes(logits).unsqueeze(1) == channels


def confusion_matrix(logits: Tensor, mask: Tensor, num_classes: int) -> Tensor:
    """Pixels by (true class, predicted class) of a binary or multiclass task.

    Args:
        logits: (N, C, *size); a single channel decides between background and foreground.
        mask: uint8 (N, *size); values from num_classes on count nowhere.
        num_classes: rows and columns; 2 for a binary task.

    Returns:
        int64 (num_classes, num_classes), on the CPU.
    """
    return _confusions(mask, predicted_classes(logits), num_classes).sum(0)


def predicted_classes(logits: Tensor) -> Tensor:
    """Class index of each pixel, uint8 (N, *size)."""
    if logits.shape[1] == 1:
        return (logits[:, 0] > 0).byte()
    # Four times as fast on the CPU as argmax, which takes one pixel after another.
    return logits.max(1).indices.byte()


def _confusions(mask: Tensor, predicted: Tensor, num_classes: int) -> Tensor:
    """int64 (N, classes, classes) on the CPU: pixels of each image by true and predicted class.

    One small number a pixel is counted on the host: 0.1 ms for 480 x 360, against 15 ms of sums over flags.
    """
    kinds = (num_classes + 1) * num_classes
    dtype = torch.uint8 if kinds <= 2**8 else torch.int32
    pairs = mask.clamp(max=num_classes).to(dtype) * num_classes + predicted
    counts = [torch.bincount(image.flatten(), minlength=kinds) for image in pairs.cpu()]
    return torch.stack(counts).view(-1, num_classes + 1, num_classes)[:, :num_classes]


def _one_against_all(confusions: Tensor) -> Tensor:
    """int64 (N, C, C) -> (N, C, 4)."""
    tp = confusions.diagonal(dim1=1, dim2=2)
    fp, fn = confusions.sum(1) - tp, confusions.sum(2) - tp
    return torch.stack([tp, fp, fn, confusions.sum((1, 2)).unsqueeze(1) - tp - fp - fn], -1)


def _of_two(confusions: Tensor) -> Tensor:
    """int64 (N, 2, 2) -> (N, 4) of the second class."""
    return torch.stack([confusions[:, t, p] for t, p in ((1, 1), (0, 1), (1, 0), (0, 0))], -1)
