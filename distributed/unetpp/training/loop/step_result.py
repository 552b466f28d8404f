"""What an optimiser step gave, read from the device only when it is asked for."""

import math
from functools import cached_property

import torch
from torch import Tensor

__all__ = ["StepResult"]


class StepResult:
    """Loss and gradient norm of a step; reading them waits for the device where it is not there yet.

    Args:
        images: samples of this worker that count.
        loss_sum: sum of this worker's sample losses, a scalar.
        grad_norm: a scalar.
    """

    def __init__(self, images: int, loss_sum: Tensor, grad_norm: Tensor) -> None:
        self.images = images
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
