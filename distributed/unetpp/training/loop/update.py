"""The end of a step: the update, skipped where the gradient is not finite, and what the step gave."""

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from unetpp.training.loop.learner import Learner

__all__ = ["StepResult", "update", "update_on_device"]


class StepResult:
    """Loss and gradient norm of a step; reading them waits for the device where it is not there yet.

    Args:
        images: samples of this worker that count.
        loss_sum: sum of this worker's sample losses, a scalar.
        grad_norm: a scalar.
        step: of the run, counted from 1.
    """

    def __init__(self, images: int, loss_sum: Tensor, grad_norm: Tensor, step: int) -> None:
        self.images, self.step = images, step
        self._values, self._copied = torch.stack([loss_sum, grad_norm]), None
        if self._values.is_cuda:
            # One transfer that nothing waits for: a value asked for here would empty the device's queue.
            on_host = torch.empty(2, dtype=self._values.dtype, pin_memory=True)
            self._values = on_host.copy_(self._values, non_blocking=True)
            self._copied = torch.cuda.Event()
            self._copied.record()

    def is_ready(self) -> bool:
        """Whether reading does not wait."""
        return self._copied is None or bool(self._copied.query())

    @property
    def loss_sum(self) -> float:
        """0 for a step that was not applied."""
        return self._read[0] if self.finite else 0.0

    @property
    def grad_norm(self) -> float:
        return self._read[1]

    @property
    def finite(self) -> bool:
        """Whether the step was applied; the same on every rank."""
        return math.isfinite(self._read[1])

    @cached_property
    def _read(self) -> tuple[float, float]:
        if self._copied is not None:
            self._copied.synchronize()
        loss_sum, grad_norm = self._values.tolist()
        return loss_sum, grad_norm


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
