"""FGSM, PGD and SegPGD by one loop: step along the sign of the gradient, and come back into the bounds."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from unetpp.core.manifest import Task
from unetpp.objective.attacks.attack import Attack, Bounds
from unetpp.objective.counts import positive_pixels
from unetpp.objective.targets import NetworkOutput, encode_target

__all__ = ["perturb"]


def perturb(
    network: Callable[[Tensor], NetworkOutput],
    images: Tensor,
    masks: Tensor,
    attack: Attack,
    bounds: Bounds,
    task: Task,
    start: Tensor | None = None,
) -> Tensor:
    """Images by which the network's deepest level is more wrong than by the given ones.

    FGSM: Goodfellow et al. 2015; PGD: Madry et al. 2018; SegPGD: Gu et al. 2022, algorithm 1, where pixels
    that are right already weigh 1 - (t - 1) / 2T at step t of T and those that are wrong (t - 1) / 2T.

    Args:
        network: in eval mode, so that an image's result does not depend on the others.
        images: float32 (N, C, *size), normalised.
        masks: uint8 (N, *size); pixels that do not count attract no attack.
        attack: how many steps, and how long.
        bounds: within which a pixel may move.
        task: how masks and logits are read.
        start: float32 like images, in [-1, 1] epsilons; where the first step starts.

    Returns:
        float32 (N, C, *size).
    """
    low, high = torch.minimum(images, bounds.low), torch.maximum(images, bounds.high)

    def within(moved: Tensor) -> Tensor:
        moved = torch.maximum(torch.minimum(moved, images + bounds.epsilon), images - bounds.epsilon)
        return torch.maximum(torch.minimum(moved, high), low)

    moved = images if start is None else within(images + start * bounds.epsilon)
    for step in range(attack.passes):
        moved = moved.detach().requires_grad_()
        with torch.enable_grad():
            wrong_weight = step / (2 * attack.passes) if attack.name == "segpgd" else None
            logits = network(moved)[0][-1].float()
            loss = _loss(logits, masks, task, wrong_weight)
            (gradient,) = torch.autograd.grad(loss, moved)
        # A gradient that is not finite says nothing: 0 leaves its pixels where they are.
        direction = gradient.nan_to_num(0.0, 0.0, 0.0).sign()
        moved = within(moved.detach() + attack.relative_step * bounds.epsilon * direction)
    return moved


def _loss(logits: Tensor, masks: Tensor, task: Task, wrong_weight: float | None) -> Tensor:
    """Cross-entropy of all pixels that count, those that are wrong weighing as given: a scalar."""
    target, valid = encode_target(masks, task, logits.shape[1])
    if task == "multiclass":
        losses = -(target * F.log_softmax(logits, dim=1)).sum(1, keepdim=True)
    else:
        losses = F.binary_cross_entropy_with_logits(logits, target, reduction="none") * valid
    if wrong_weight is None:
        return losses.sum()
    is_wrong = positive_pixels(logits.detach(), task) != target.bool()
    if task == "multiclass":
        is_wrong = is_wrong.any(1, keepdim=True)
    return (losses * torch.where(is_wrong, wrong_weight, 1 - wrong_weight)).sum()
