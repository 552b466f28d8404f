"""From stored masks to what losses and counts compare with."""

from typing import NamedTuple

import torch
from torch import Tensor

from unetpp.core.manifest import Task

__all__ = ["IGNORE_BIT", "NetworkOutput", "Target", "encode_target"]

NetworkOutput = tuple[tuple[Tensor, ...], Tensor | None]
"""`ModelOutput` by its structure: logits (N, C, *size) shallow to deep, and image logits or None."""

IGNORE_BIT = 128


class Target(NamedTuple):
    target: Tensor
    """float32 (N, C, *size) of zeros and ones; all zero where the pixel does not count."""
    valid: Tensor
    """float32 (N, 1, *size): one where the pixel counts."""


def encode_target(mask: Tensor, task: Task, num_classes: int) -> Target:
    """One channel per logit: the foreground, one-hot classes, or the bits of a multilabel mask.

    A pixel counts if its value names a class: 0 or 1 (binary), below num_classes (multiclass), or without the
    top bit (multilabel). So `IGNORE` never counts in any task.

    Args:
        mask: uint8 (N, *size).
        num_classes: logit channels; 1 for a binary task.
    """
    channels = torch.arange(num_classes, device=mask.device, dtype=mask.dtype).view(
        1, -1, *[1] * (mask.ndim - 1)
    )
    values = mask.unsqueeze(1)
    if task == "multilabel":
        valid = values < IGNORE_BIT
        target = (values >> channels) & 1 == 1
    elif task == "multiclass":
        valid = values < num_classes
        target = values == channels
    else:
        valid = values <= 1
        target = values == 1
    return Target((target & valid).float(), valid.float())
