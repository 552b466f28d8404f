"""The optimiser's step, skipped where the gradient is not finite."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from unetpp.training.loop.learner import Learner

__all__ = ["update", "update_on_device"]


def update(learner: Learner, grad_norm: Tensor, buffers: Sequence[Tensor]) -> None:
    """Apply the gradient, or put the buffers back to what they were before the step."""
    if _decides_on_device(learner):
        update_on_device(learner, grad_norm, buffers)
    elif math.isfinite(float(grad_norm)):
        learner.optimizer.step()
        if learner.ema is not None:
            learner.ema.update_parameters(learner.model)
    else:
        for buffer, before in zip(learner.model.buffers(), buffers, strict=True):
            buffer.copy_(before)
        learner.optimizer.zero_grad(set_to_none=True)


def _decides_on_device(learner: Learner) -> bool:
    """Not with averaged weights, nor with SGD, whose momentum a skipped first step leaves undefined."""
    is_adam = isinstance(learner.optimizer, torch.optim.Adam | torch.optim.AdamW)
    return learner.device.type == "cuda" and is_adam and learner.ema is None


def update_on_device(learner: Learner, grad_norm: Tensor, buffers: Sequence[Tensor]) -> None:
    """The same by Adam without asking the device for the norm: its kernel skips, as for a gradient scaler."""
    is_finite = torch.isfinite(grad_norm)
    optimizer: Any = learner.optimizer
    optimizer.grad_scale, optimizer.found_inf = None, (~is_finite).to(torch.float32)
    try:
        optimizer.step()
    finally:
        del optimizer.grad_scale, optimizer.found_inf
    for buffer, before in zip(learner.model.buffers(), buffers, strict=True):
        buffer.copy_(torch.where(is_finite, buffer, before))
