"""Batch normalisation with the statistics of the global batch, on CPU as on GPU.

On GPUs it is torch's own layer, which refuses CPU tensors; the one here is for those. With either a run
does not depend on the number of workers.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = ["convert_sync_bn"]


def convert_sync_bn(module: nn.Module, device: torch.device) -> None:
    """Replace every batch norm by one that shares its statistics over the process group, in place.

    Parameters, buffers and state-dict keys stay as they are.
    """
    if device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(module)
        return
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm):
            setattr(module, name, _SyncBatchNorm(child))
        else:
            convert_sync_bn(child, device)


class _SyncBatchNorm(nn.Module):
    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__()
        for name, parameter in norm.named_parameters(recurse=False):
            self.register_parameter(name, parameter)
        for name, buffer in norm.named_buffers(recurse=False):
            self.register_buffer(name, buffer)
        self.eps, self.momentum = norm.eps, norm.momentum if norm.momentum is not None else 0.1
        self.weight: Tensor
        self.bias: Tensor
        self.running_mean: Tensor
        self.running_var: Tensor
        self.num_batches_tracked: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, *size) -> the same shape."""
        if not self.training:
            return F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
            )
        apply: Callable[..., tuple[Tensor, ...]] = _GlobalBatchNorm.apply
        out, mean, var, count = apply(x, self.weight, self.bias, self.eps)
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * (count / (count - 1).clamp(min=1)), self.momentum)
            self.num_batches_tracked.add_(1)
        return out


class _GlobalBatchNorm(torch.autograd.Function):
    """Ioffe and Szegedy 2015, algorithm 1 and its gradient, sums taken over all workers.

    Passes over the activations are torch's fused kernels; only sums per channel travel.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, ...]:
        # The fused kernel's own statistics: torch.var_mean takes eight times as long on a CPU.
        _, mean, inverse_std = torch.native_batch_norm(x, None, None, None, None, True, 0.0, eps)
        # float64: the variance over all workers is a difference of large numbers.
        mean, var = mean.double(), (inverse_std.double() ** -2 - eps).clamp(min=0)
        count = torch.tensor([float(x.numel() // x.shape[1])], dtype=torch.float64)
        sums = _summed(torch.cat([mean * count, (var + mean * mean) * count, count]))
        count = sums[-1]
        mean, square = (sums[:-1] / count).chunk(2)
        mean, var = mean.to(x.dtype), (square - mean * mean).clamp(min=0).to(x.dtype)
        out = F.batch_norm(x, mean, var, weight, bias, False, 0.0, eps)
        ctx.save_for_backward(x, weight, mean, var, count)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, var, count)
        return out, mean, var, count

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, var, count = ctx.saved_tensors
        grad_x, grad_weight, grad_bias = torch.ops.aten.native_batch_norm_backward(
            grads[0],
            *(x, weight, mean, var, None, None, False, ctx.eps, [True, True, True]),
        )
        # grad_x so far lacks what flows through the statistics: scale * (mean(g) + xhat * mean(g * xhat)).
        mean_g, mean_g_xhat = (
            (_summed(torch.cat([grad_bias, grad_weight]).double()) / count).to(x.dtype).chunk(2)
        )
        inverse_std = torch.rsqrt(var + ctx.eps)
        slope = weight * inverse_std * inverse_std * mean_g_xhat
        offset = weight * inverse_std * mean_g - slope * mean
        shape = [1, -1] + [1] * (x.ndim - 2)
        grad_x.sub_(torch.addcmul(offset.view(shape), x, slope.view(shape)))
        return grad_x, grad_weight, grad_bias, None


def _summed(values: Tensor) -> Tensor:
    if dist.is_initialized() and dist.get_world_size() > 1:
        dist.all_reduce(values)
    return values
