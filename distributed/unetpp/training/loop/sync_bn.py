"""Batch normalisation with the statistics of the images that count, of one worker or of all.

A worker that is short of images in an uneven last batch repeats one with weight 0. There, and always on a
CPU, whose tensors torch's own SyncBatchNorm refuses, statistics are computed here; else they are torch's.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unetpp.training.loop.collective import sum_over_ranks

__all__ = ["CountedImages", "convert_bn"]

BatchNorm = nn.BatchNorm2d | nn.BatchNorm3d


class CountedImages:
    """Which images of the batch that is in the network count, told to every batch norm of the network."""

    def __init__(self) -> None:
        self.mask: Tensor | None = None

    @contextmanager
    def of(self, weights: Tensor, *, uneven: bool) -> Iterator[None]:
        """While this batch is forwarded.

        Args:
            weights: float32 (N,), 0 for images that do not count.
            uneven: whether some worker has such images; the same on all of them.
        """
        self.mask = weights > 0 if uneven else None
        try:
            yield
        finally:
            self.mask = None


def convert_bn(module: nn.Module, counted: CountedImages, device: torch.device, *, sync: bool) -> None:
    """Replace every batch norm in place by one that leaves out images that do not count.

    Parameters, buffers and state-dict keys stay as they are.

    Args:
        sync: share statistics over the process group, so that a run does not depend on the number of workers.
    """
    for name, child in module.named_children():
        if not isinstance(child, BatchNorm):
            convert_bn(child, counted, device, sync=sync)
        elif sync and device.type == "cuda":
            setattr(module, name, _FusedSyncBatchNorm(child, counted))
        else:
            setattr(module, name, _CountingBatchNorm(child, counted, sync=sync))


class _FusedSyncBatchNorm(nn.SyncBatchNorm):
    """Torch's kernels wherever every image counts, which is all but the last batch of an epoch."""

    def __init__(self, norm: BatchNorm, counted: CountedImages) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum)
        self.load_state_dict(norm.state_dict())
        self._counted = counted

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, *size) -> the same shape."""
        if self.training and self._counted.mask is not None:
            return _normalise(self, x, self._counted.mask, sync=True)
        return super().forward(x)


class _CountingBatchNorm(nn.Module):
    def __init__(self, norm: BatchNorm, counted: CountedImages, *, sync: bool) -> None:
        super().__init__()
        for name, parameter in norm.named_parameters(recurse=False):
            self.register_parameter(name, parameter)
        for name, buffer in norm.named_buffers(recurse=False):
            self.register_buffer(name, buffer)
        self.eps, self.momentum = norm.eps, norm.momentum if norm.momentum is not None else 0.1
        self._counted, self._sync = counted, sync
        self.weight: Tensor
        self.bias: Tensor
        self.running_mean: Tensor
        self.running_var: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, *size) -> the same shape."""
        mask = self._counted.mask
        # A worker without an image that counts has no other statistics to keep its numbers finite with.
        if mask is not None and not self._sync and not mask.any():
            mask = None
        if self.training and (self._sync or mask is not None):
            return _normalise(self, x, mask, sync=self._sync)
        return F.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training,
            self.momentum,
            self.eps,
        )


def _normalise(layer: Any, x: Tensor, mask: Tensor | None, *, sync: bool) -> Tensor:
    """Training's normalisation, which moves the layer's running statistics as torch's layers do."""
    apply: Callable[..., tuple[Tensor, ...]] = _CountedBatchNorm.apply
    out, mean, var, count = apply(x, layer.weight, layer.bias, layer.eps, mask, sync)
    with torch.no_grad():
        layer.running_mean.lerp_(mean, layer.momentum)
        layer.running_var.lerp_(var * (count / (count - 1).clamp(min=1)).to(var.dtype), layer.momentum)
        layer.num_batches_tracked.add_(1)
    return out


class _CountedBatchNorm(torch.autograd.Function):
    """Ioffe and Szegedy 2015, algorithm 1 and its gradient, sums taken over images that count and workers.

    Passes over the activations are torch's fused kernels; only sums per channel travel.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, mask: Tensor | None, sync: bool
    ) -> tuple[Tensor, ...]:
        sums = _sums(x if mask is None else x[mask], eps)
        if sync:
            sums = sum_over_ranks(sums)
        count = sums[-1]
        mean, square = (sums[:-1] / count).chunk(2)
        mean, var = mean.to(weight.dtype), (square - mean * mean).clamp(min=0).to(weight.dtype)
        out = F.batch_norm(x, mean, var, weight, bias, False, 0.0, eps)
        ctx.save_for_backward(x, weight, mean, var, count, mask)
        ctx.eps, ctx.sync = eps, sync
        ctx.mark_non_differentiable(mean, var, count)
        return out, mean, var, count

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, var, count, mask = ctx.saved_tensors
        grad_x, grad_weight, grad_bias = torch.ops.aten.native_batch_norm_backward(
            grads[0],
            *(x, weight, mean, var, None, None, False, ctx.eps, [True, True, True]),
        )
        # grad_x so far lacks what flows through the statistics: scale * (mean(g) + xhat * mean(g * xhat)).
        # The loss gives images that do not count no gradient, so that these sums lack them already.
        sums = torch.cat([grad_bias, grad_weight]).double()
        mean_g, mean_g_xhat = ((sum_over_ranks(sums) if ctx.sync else sums) / count).to(mean.dtype).chunk(2)
        inverse_std = torch.rsqrt(var + ctx.eps)
        slope = weight * inverse_std * inverse_std * mean_g_xhat
        offset = weight * inverse_std * mean_g - slope * mean
        shape = [1, -1] + [1] * (x.ndim - 2)
        through = torch.addcmul(offset.view(shape), x.to(slope.dtype), slope.view(shape))
        if mask is not None:
            through[~mask] = 0
        grad_x.sub_(through)
        return grad_x, grad_weight, grad_bias, None, None, None


def _sums(x: Tensor, eps: float) -> Tensor:
    """Sum, sum of squares and count per channel, float64 (2 C + 1,); zeros of an empty batch."""
    if x.shape[0] == 0:
        return x.new_zeros(2 * x.shape[1] + 1, dtype=torch.float64)
    # The fused kernel's own statistics: torch.var_mean takes eight times as long on a CPU.
    _, mean, inverse_std = torch.native_batch_norm(x, None, None, None, None, True, 0.0, eps)
    # float64: the variance over all workers is a difference of large numbers.
    mean, var = mean.double(), (inverse_std.double() ** -2 - eps).clamp(min=0)
    count = mean.new_full((1,), x.numel() // x.shape[1])
    return torch.cat([mean * count, (var + mean * mean) * count, count])
