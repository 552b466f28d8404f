"""The boundary loss, apart from the others since it needs the target's distance map."""

from torch import Tensor

from unetpp.objective.distance import signed_distance
from unetpp.objective.losses import mean_over_valid, probabilities

__all__ = ["boundary", "distance_map"]


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
