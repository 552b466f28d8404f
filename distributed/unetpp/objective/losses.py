"""Per-image losses: (logits, target, valid) -> (N,).

Shapes: logits (N, C, *size) of any float type, target float32 (N, C, *size), valid float32 (N, 1, *size) as
`encode_target` makes them. All is computed in float32. `softmax` says that classes exclude each other;
without it each channel is a binary problem of its own. Losses are per image, so that their weighted mean
does not depend on how a batch is divided over workers. An image without any valid pixel has loss 0.
The boundary loss takes the target's distance map in place of the target.
"""

from collections.abc import Sequence
from functools import lru_cache

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
    "weigh_pixels",
]

_SMOOTH_PX = 1.0
"""Added to numerator and denominator: an absent class costs its false positives, smoothly."""
_MIN_MISS = 1e-6
"""Keeps the derivative of (1 - p)**gamma finite at p = 1 for gamma < 1."""


def cross_entropy(
    logits: Tensor,
    target: Tensor,
    valid: Tensor,
    *,
    softmax: bool,
    pixel_weights: Tensor | None = None,
    hardest: float = 1.0,
) -> Tensor:
    """Mean over valid pixels of the (binary: and labels') cross-entropy.

    Args:
        pixel_weights: factors of the pixels, see `weigh_pixels`; none by default.
        hardest: share of the valid pixels that the mean is over, those of highest loss (Shrivastava et al.
            2016).
    """
    loss = _pixel_cross_entropy(logits.float(), target, softmax)
    loss = loss if pixel_weights is None else loss * pixel_weights
    return mean_over_valid(loss, valid) if hardest >= 1 else _mean_over_hardest(loss, valid, hardest)


def focal(
    logits: Tensor,
    target: Tensor,
    valid: Tensor,
    *,
    softmax: bool,
    gamma: float,
    pixel_weights: Tensor | None = None,
) -> Tensor:
    """Cross-entropy times (1 - p of the true class)**gamma (Lin et al. 2017, eq. 4)."""
    entropy = _pixel_cross_entropy(logits.float(), target, softmax)
    miss = -torch.expm1(-entropy)  # 1 - p
    loss = miss.clamp(min=_MIN_MISS) ** gamma * entropy
    return mean_over_valid(loss if pixel_weights is None else loss * pixel_weights, valid)


def dice(
    logits: Tensor, target: Tensor, valid: Tensor, *, softmax: bool, present_only: bool = False
) -> Tensor:
    """Mean over classes of 1 - 2 p.y / (p + y), per image (Milletari et al. 2016); see `tversky`."""
    return tversky(logits, target, valid, softmax=softmax, alpha=0.5, beta=0.5, present_only=present_only)


def tversky(
    logits: Tensor,
    target: Tensor,
    valid: Tensor,
    *,
    softmax: bool,
    alpha: float,
    beta: float,
    present_only: bool = False,
) -> Tensor:
    """Mean over classes of 1 - tp / (tp + alpha fp + beta fn), per image (Salehi et al. 2017).

    Args:
        present_only: average over the classes in the image, where classes exclude each other: an absent class
            is near 1 whatever is predicted, and its false positives are another's false negatives.
    """
    p = probabilities(logits, softmax=softmax) * valid
    tp, predicted, actual = _sum(p * target), _sum(p), _sum(target)
    fp, fn = predicted - tp, actual - tp
    score = (tp + _SMOOTH_PX) / (tp + alpha * fp + beta * fn + _SMOOTH_PX)
    if not (softmax and present_only):
        return (1 - score).mean(1)
    present = (actual > 0).float()
    return ((1 - score) * present).sum(1) / present.sum(1).clamp(min=1)


def probabilities(logits: Tensor, *, softmax: bool) -> Tensor:
    """float32, the shape of the logits."""
    return logits.float().softmax(1) if softmax else logits.float().sigmoid()


def _pixel_cross_entropy(logits: Tensor, target: Tensor, softmax: bool) -> Tensor:
    """(N, C or 1, *size), not negative."""
    if softmax:
        return -(target * logits.log_softmax(1)).sum(1, keepdim=True)
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none")


def weigh_pixels(target: Tensor, class_weights: Sequence[float], *, softmax: bool) -> Tensor | None:
    """The weight of each pixel's class, 1 without the class: (N, 1 with softmax else C, *size), or None."""
    if not class_weights:
        return None
    weights = _on_device(tuple(class_weights), target.device).view(1, -1, *[1] * (target.ndim - 2))
    return (target * weights).sum(1, keepdim=True) if softmax else 1 + target * (weights - 1)


@lru_cache(maxsize=8)
def _on_device(values: tuple[float, ...], device: torch.device) -> Tensor:
    # Copied once: a step would wait for the device at each copy.
    return torch.tensor(values, device=device)


def _mean_over_hardest(loss: Tensor, valid: Tensor, share: float) -> Tensor:
    """(N, C, *size) -> (N,): the mean over that share of an image's valid pixels, at least one, by loss."""
    ranked = (
        torch.where(valid.bool(), loss.sum(1, keepdim=True), -torch.inf).flatten(1).sort(1, descending=True)
    )
    count = (valid.flatten(1).sum(1) * share).ceil().clamp(min=1)
    kept = torch.arange(ranked.values.shape[1], device=loss.device) < count[:, None]
    # Of a diverged loss NaN and Inf must stay: only what is not valid is left out.
    values = torch.where(kept & (ranked.values != -torch.inf), ranked.values, 0.0)
    return values.sum(1) / count / loss.shape[1]


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
