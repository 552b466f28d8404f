"""Batch normalisation with statistics over all workers, on CPU as on GPU.

`torch.nn.SyncBatchNorm` refuses CPU tensors; this one is written with a differentiable all-reduce and
makes a run independent of the number of workers on any device.
"""

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = ["convert_sync_bn"]


class _SyncBatchNorm(nn.Module):
    """Wraps a batch norm, whose parameters, buffers and state-dict keys stay its own."""

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__()
        for name, parameter in norm.named_parameters(recurse=False):
            self.register_parameter(name, parameter)
        for name, buffer in norm.named_buffers(recurse=False):
            self.register_buffer(name, buffer)
        self.eps, self.momentum = norm.eps, norm.momentum
        self.weight: Tensor
        self.bias: Tensor
        self.running_mean: Tensor
        self.running_var: Tensor
        self.num_batches_tracked: Tensor

    def forward(self, x: Tensor) -> Tensor:
        shape = [1, -1] + [1] * (x.ndim - 2)
        if not self.training:
            mean, var = self.running_mean, self.running_var
        else:
            mean, var, count = _global_moments(x)
            with torch.no_grad():
                momentum = self.momentum if self.momentum is not None else 0.1
                self.running_mean.lerp_(mean.detach(), momentum)
                self.running_var.lerp_(var.detach() * count / (count - 1).clamp(min=1), momentum)
                self.num_batches_tracked.add_(1)
        scale = self.weight * torch.rsqrt(var + self.eps)
        return x * scale.view(shape) + (self.bias - mean * scale).view(shape)


def convert_sync_bn(module: nn.Module) -> nn.Module:
    """Replace every batch norm by one that shares its statistics over the process group, in place."""
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm):
            setattr(module, name, _SyncBatchNorm(child))
        else:
            convert_sync_bn(child)
    return module


def _global_moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and biased variance per channel over all workers, and the number of values."""
    dims = [0, *range(2, x.ndim)]
    values = x.float()
    count = values.new_tensor([values.numel() / values.shape[1]])
    sums = torch.cat([values.sum(dims), (values * values).sum(dims), count])
    if dist.is_initialized() and dist.get_world_size() > 1:
        sums = all_reduce(sums)
    channels = values.shape[1]
    count = sums[-1]
    mean = sums[:channels] / count
    return mean, (sums[channels:-1] / count - mean * mean).clamp(min=0), count.detach()
