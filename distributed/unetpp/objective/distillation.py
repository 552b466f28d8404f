"""Self-distillation: a shallower head learns from the deepest one (Zhang et al. 2019, arXiv:1905.08094).

A head that sees less of the image than the deepest one is told by it how sure to be of each pixel, in the
softened probabilities of Hinton et al. (2015, arXiv:1503.02531).
"""

import torch.nn.functional as F
from torch import Tensor

from unetpp.objective.losses import mean_over_valid

__all__ = ["distillation"]


def distillation(
    logits: Tensor, teacher: Tensor, valid: Tensor, *, softmax: bool, temperature: float
) -> Tensor:
    """Mean over valid pixels of temperature**2 * KL(teacher || own), of softened probabilities, per image.

    The square keeps the gradient's size as the temperature rises. The teacher gets no gradient. Without
    softmax each channel is a binary problem, and the mean is over channels too.

    Args:
        logits: (N, C, *size) of any float type.
        teacher: the same shape.
        valid: float32 (N, 1, *size).
        softmax: whether classes exclude each other.
        temperature: above 0; divides the logits.

    Returns:
        float32 (N,).
    """
    own, known = logits.float() / temperature, teacher.detach().float() / temperature
    if softmax:
        divergence = F.kl_div(own.log_softmax(1), known.log_softmax(1), reduction="none", log_target=True)
        divergence = divergence.sum(1, keepdim=True)
    else:
        chances = known.sigmoid()
        divergence = _binary_entropy(own, chances) - _binary_entropy(known, chances)
    return temperature**2 * mean_over_valid(divergence, valid)


def _binary_entropy(logits: Tensor, chances: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, chances, reduction="none")
