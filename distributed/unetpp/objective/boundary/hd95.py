"""The 95th percentile of the Hausdorff distance between predicted and true borders."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from unetpp.core.manifest import Task
from unetpp.objective.counts import positive_pixels
from unetpp.objective.distance import distance_to
from unetpp.objective.targets import encode_target

__all__ = ["hausdorff95"]


def hausdorff95(logits: Tensor, mask: Tensor, task: Task, spacing: Sequence[float] | None = None) -> Tensor:
    """The larger of both directions' 95th percentiles for each image and class.

    Ignored pixels belong to neither side. NaN where target or prediction is empty: no distance exists.

    Args:
        logits: (N, C, *size), as for `count_pixels`.
        mask: uint8 (N, *size), see `encode_target`.
        spacing: distance between neighbours along each axis; pixels without it.

    Returns:
        float32 (N, C).
    """
    encoded = encode_target(mask, task, logits.shape[1])
    true = _border(encoded.target.bool())
    predicted = _border(positive_pixels(logits, task) & encoded.valid.bool())
    to_true, to_predicted = distance_to(true, spacing), distance_to(predicted, spacing)
    result = logits.new_full(logits.shape[:2], math.nan, dtype=torch.float32)
    for n, c in (true.flatten(2).any(-1) & predicted.flatten(2).any(-1)).nonzero().tolist():
        result[n, c] = max(
            torch.quantile(to_true[n, c][predicted[n, c]], 0.95),
            torch.quantile(to_predicted[n, c][true[n, c]], 0.95),
        )
    return result


def _border(region: Tensor) -> Tensor:
    """Pixels of the region with a neighbour along an axis that is outside it or outside the image."""
    inside = region.clone()
    for axis in range(2, region.ndim):
        before, after = (0, 0) * (region.ndim - 1 - axis) + (1, 0), (0, 0) * (region.ndim - 1 - axis) + (0, 1)
        side = region.shape[axis]
        inside &= F.pad(region, before).narrow(axis, 0, side) & F.pad(region, after).narrow(axis, 1, side)
    return region & ~inside
