"""How certain a network is of an image, told without its mask, and how well that ranks images by their Dice.

`levels` costs a nested network next to nothing: what its heads need is computed anyway, and where they differ
it is unsure. The two others are the usual measures.

    levels       mean Dice of the shallower levels' masks, taking the deepest level's for the truth
    confidence   mean over pixels of the largest probability
    entropy      1 - mean over pixels of the entropy of the probabilities, in units of its largest value
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from unetpp.core.manifest import Task
from unetpp.objective.counts import count_pixels
from unetpp.objective.metrics import image_scores

__all__ = ["CERTAINTIES", "certainty", "ranking"]

CERTAINTIES = ("levels", "confidence", "entropy")


def certainty(levels: Sequence[Tensor], masks: Tensor, task: Task) -> Tensor:
    """How certain the network is of each image; of one level alone `levels` is NaN.

    Args:
        levels: logits (N, C, *size) of each level, shallow to deep.
        masks: uint8 (N, *size), the deepest level's.
        task: how logits are read.

    Returns:
        float64 (N, 3), from 0 to 1, in the order of `CERTAINTIES`.
    """
    deepest = levels[-1].float()
    agreed = [image_scores(count_pixels(logits, masks, task))[:, 0] for logits in levels[:-1]]
    by_levels = torch.stack(agreed).mean(0) if agreed else torch.full((len(masks),), torch.nan)
    if task == "multiclass":
        log_chances, choices = deepest.log_softmax(1), deepest.shape[1]
        largest = log_chances.amax(1).exp()
        entropy = -(log_chances.exp() * log_chances).sum(1)
    else:
        largest, choices = deepest.abs().sigmoid(), 2
        entropy = F.binary_cross_entropy_with_logits(deepest, deepest.sigmoid(), reduction="none")
    columns = (by_levels, largest.flatten(1).mean(1), 1 - entropy.flatten(1).mean(1) / math.log(choices))
    return torch.stack([column.double().cpu() for column in columns], 1)


def ranking(certain: NDArray[np.float64], dice: NDArray[np.float64]) -> dict[str, float] | None:
    """How well a certainty ranks images by their Dice; None where it or the Dice is the same for all.

    Args:
        certain: (N,).
        dice: (N,), of each image.

    Returns:
        spearman: rank correlation, 1 at best. risk_coverage: the mean, over numbers k of images kept, of
        1 - Dice of the k most certain ones (the area under the risk-coverage curve, Geifman and El-Yaniv
        2017); risk_coverage_best: the same where images are kept in the order of their Dice.
    """
    if len(dice) < 2 or np.isnan(certain).any() or min(np.ptp(certain), np.ptp(dice)) == 0:
        return None
    from scipy.stats import spearmanr  # whose import takes 0.3 s

    return {
        "spearman": float(spearmanr(certain, dice).statistic),
        "risk_coverage": _risk_coverage(certain, dice),
        "risk_coverage_best": _risk_coverage(dice, dice),
    }


def _risk_coverage(certain: NDArray[np.float64], dice: NDArray[np.float64]) -> float:
    risks = 1 - dice[np.argsort(-certain, kind="stable")]
    return float((np.cumsum(risks) / np.arange(1, len(risks) + 1)).mean())
