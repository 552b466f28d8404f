"""The Lovasz loss: the convex extension of 1 - IoU over pixel errors (Berman et al. 2018)."""

import torch
from torch import Tensor

from unetpp.objective.losses import probabilities

__all__ = ["lovasz"]


def lovasz(logits: Tensor, target: Tensor, valid: Tensor, *, softmax: bool) -> Tensor:
    """Mean over the classes in an image of the Lovasz loss of their pixel errors |y - p|, per image.

    Without softmax all classes count, so that false positives in an image without the class cost something.

    Args:
        logits: (N, C, *size).
        target: float32 (N, C, *size) of zeros and ones.
        valid: float32 (N, 1, *size); other pixels have no error.

    Returns:
        float32 (N,).
    """
    p = probabilities(logits, softmax=softmax)
    truth = (target * valid).flatten(2)
    errors = ((target - p).abs() * valid).flatten(2)
    ranked, order = errors.sort(dim=2, descending=True)
    losses = (ranked * _gradient(truth.gather(2, order))).sum(2)
    if not softmax:
        return losses.mean(1)
    present = (truth.sum(2) > 0).float()
    return (losses * present).sum(1) / present.sum(1).clamp(min=1)


def _gradient(truth: Tensor) -> Tensor:
    """How much 1 - IoU grows with each further wrong pixel, in the order of their errors (algorithm 1)."""
    total = truth.sum(2, keepdim=True)
    intersection = total - truth.cumsum(2)
    union = total + (1 - truth).cumsum(2)
    jaccard = 1 - intersection / union
    return torch.diff(jaccard, dim=2, prepend=jaccard.new_zeros(*jaccard.shape[:2], 1))
