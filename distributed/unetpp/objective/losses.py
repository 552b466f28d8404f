"""Per-image losses: (logits, target, valid) -> (N,).

Shapes: logits (N, C, *size) of any float type, target float32 (N, C, *size), valid float32 (N, 1, *size) as
`encode_target` makes them. All is computed in float32. `softmax` says that classes exclude each other;
without it each channel is a binary problem of its own. Losses are per image, so that their weighted mean
does not depend on how a batch is divided over workers. An image without any valid pixel has loss 0.
The boundary loss takes the target's distance map in place of the target.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from unetpp.objective.distance import signed_distance

__all__ = [
    "boundary",
    "cross_entropy",
    "dice",
    "distance_map",
    "focal",
    "mean_over_valid",
    "probabilities",
    "tversky",
]

_SMOOTH_PX = 1.0
"""Added to numerator and denominator: an absent class costs its false positives, smoothly."""
_MIN_MISS = 1e-6
"""Keeps the derivative of (1 - p)**gamma finite at p = 1 for gamma < 1."""


def cross_entropy(logits: Tensor, target: Tensor, valid: Tensor, *, softmax: bool) -> Tensor:
    """Mean over valid pixels of the (binary: and labels') cross-entropy."""
    return mean_over_valid(_pixel_cross_entropy(logits.float(), target, softmax), valid)


def focal(logits: Tensor, target: Tensor, valid: Tensor, *, softmax: bool, gamma: float) -> Tensor:
    """Cross-entropy times (1 - p of the true class)**gamma (Lin et al. 2017, eq. 4)."""
    entropy = _pixel_cross_entropy(logits.float(), target, softmax)
    miss = -torch.expm1(-entropy)  # 1 - p
    return mean_over_valid(miss.clamp(min=_MIN_MISS) ** gamma * entropy, valid)


def dice(logits: Tensor, target: Tensor, valid: Tensor, *, softmax: bool) -> Tensor:
    """Mean over classes of 1 - 2 p.y / (p + y), per image (Milletari et al. 2016)."""
    return tversky(logits, target, valid, softmax=softmax, alpha=0.5, beta=0.5)


def tversky(
    logits: Tensor, target: Tensor, valid: Tensor, *, softmax: bool, alpha: float, beta: float
) -> Tensor:
    """Mean over classes of 1 - tp / (tp + alpha fp + beta fn), per image (Salehi et al. 2017)."""
    p, y = probabilities(logits, softmax=softmax) * valid, target * valid
    tp, fp, fn = (_sum(part) for part in (p * y, p * (1 - y), (1 - p) * y))
    score = (tp + _SMOOTH_PX) / (tp + alpha * fp + beta * fn + _SMOOTH_PX)
    return (1 - score).mean(1)


def probabilities(logits: Tensor, *, softmax: bool) -> Tensor:
    """float32, the shape of the logits."""
    return logits.float().softmax(1) if softmax else logits.float().sigmoid()


def _pixel_cross_entropy(logits: Tensor, target: Tensor, softmax: bool) -> Tensor:
    """(N, C or 1, *size), not negative."""
    if softmax:
        return -(target * logits.log_softmax(1)).sum(1, keepdim=True)
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none")


def mean_over_valid(loss: Tensor, valid: Tensor) -> Tensor:
    """(N, C, *size) -> (N,): the mean over an image's valid pixels, then over channels."""
    count = _sum(valid).clamp(min=1)
    return (_sum(loss * valid) / count).mean(1)


def _sum(x: Tensor) -> Tensor:
    """(N, C, *size) -> (N, C)."""
    return x.flatten(2).sum(-1)


def distance_map(target: Tensor) -> Tensor:
    """Signed distance to each class's border, in units of the image's longest side.

    In pixels the weight of the loss would have to change with the crop size.

    Args:
        target: float32 (N, C, *size) of zeros and ones.
    """
    return signed_distance(target > 0) / max(target.shape[2:])


def boundary(logits: Tensor, distances: Tensor, valid: Tensor, *, softmax: bool) -> Tensor:
    """Mean over valid pixels of p times the signed distance (Kervadec et al. 2019); may be negative.

    Args:
        logits: (N, C, *size).
        distances: float32 (N, C, *size), see `distance_map`.
        valid: float32 (N, 1, *size).

    Returns:
        float32 (N,).
    """
    return mean_over_valid(probabilities(logits, softmax=softmax) * distances, valid)
