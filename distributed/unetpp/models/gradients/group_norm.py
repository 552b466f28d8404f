"""Group norm and the activation behind it as one function (Wu and He 2018, eq. 1 and its gradient).

Torch's gradient of group norm on a CPU takes 5 times as long as the convolution before it, for 32 channels in
8 groups and bf16. Here it is two passes of batch norm's kernels a sample, which take a channel's scale in
float32: 6 times faster.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from unetpp.models.gradients.applies import applies

__all__ = ["norm_activation"]

_SLOW_BF16 = (16, 256)
_SLOW_FLOAT = (8, 4096)
"""Channels a group below which torch's kernel is slow, and pixels from which the gradient here is faster."""


def norm_activation(norm: nn.Module, activation: nn.Module, x: Tensor) -> Tensor:
    """`activation(norm(x))` for any norm and activation; x (N, C, *size)."""
    if isinstance(norm, nn.GroupNorm) and type(activation) in _SLOPES and applies(x) and _is_slow(norm, x):
        apply: Any = _NormActivation.apply
        normalised: Tensor = apply(x, norm.weight, norm.bias, norm.num_groups, norm.eps, activation)
        return normalised
    out: Tensor = activation(norm(x))
    return out


def _is_slow(norm: nn.GroupNorm, x: Tensor) -> bool:
    channels, pixels = _SLOW_BF16 if x.dtype == torch.bfloat16 else _SLOW_FLOAT
    return norm.num_channels < channels * norm.num_groups and x.shape[2:].numel() >= pixels


class _NormActivation(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, groups: int, eps: float, activation: nn.Module
    ) -> Tensor:
        normalised, mean, inverse_std = _group_norm(x, weight, bias, groups, eps)
        out: Tensor = activation(normalised)
        # A rectifier's slope can be told from its output, which the next convolution keeps anyway.
        kept = out if isinstance(activation, nn.ReLU | nn.LeakyReLU) else None
        ctx.save_for_backward(x, weight, bias, mean, inverse_std, kept)
        ctx.groups, ctx.eps, ctx.activation = groups, eps, activation
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, mean, inverse_std, kept = ctx.saved_tensors
        if kept is None:
            kept = _group_norm(x, weight, bias, ctx.groups, ctx.eps)[0]
        slope = _SLOPES[type(ctx.activation)]
        channels = weight.repeat(len(x), 1), *_per_channel(mean, inverse_std, x.shape[1], ctx.eps)
        backward, mask = torch.ops.aten.native_batch_norm_backward, [True, True, True]
        scaled, sums = [], []
        for n, (scale, centre, var) in enumerate(zip(*channels, strict=True)):
            one = slice(n, n + 1)
            through = slope(ctx.activation, grad[one], kept[one])
            found = backward(through, x[one], scale, centre, var, None, None, False, ctx.eps, mask)
            scaled.append(found[0])
            sums.append(torch.stack(found[1:]))
        per_sample = torch.stack(sums)
        grad_x = torch.empty_like(x)
        means = _means(per_sample, weight, inverse_std, x.shape[1:].numel())
        for n, (along, offset) in enumerate(means):
            one = slice(n, n + 1)
            part = torch.native_batch_norm(
                x[one], along, offset, channels[1][n], channels[2][n], False, 0.0, ctx.eps
            )[0]
            torch.add(scaled[n], part, out=grad_x[one])
        return grad_x, *per_sample.sum(0), None, None, None


def _group_norm(x: Tensor, weight: Tensor, bias: Tensor, groups: int, eps: float) -> tuple[Tensor, ...]:
    """Normalised x, and mean and inverse standard deviation (N, groups)."""
    samples, channels, pixels = x.shape[0], x.shape[1], x.shape[2:].numel()
    return torch.native_group_norm(x, weight, bias, samples, channels, pixels, groups, eps)


def _per_channel(mean: Tensor, inverse_std: Tensor, channels: int, eps: float) -> tuple[Tensor, Tensor]:
    """Mean and variance (N, C) of (N, groups) statistics, as batch norm's kernels take them."""
    repeats = channels // mean.shape[1]
    return mean.repeat_interleave(repeats, 1), (inverse_std**-2 - eps).repeat_interleave(repeats, 1)


def _means(sums: Tensor, weight: Tensor, inverse_std: Tensor, values: int) -> Tensor:
    """What the gradient lacks for the statistics' sake: of xhat / std, and constant, float32 (N, 2, C).

    Args:
        sums: (N, 2, C), over pixels of gradient * xhat and of the gradient.
        values: of a sample.
    """
    samples, groups = inverse_std.shape
    per_group = (sums * weight).view(samples, 2, groups, -1).sum(-1) / (-values // groups)
    return (per_group * inverse_std.unsqueeze(1)).repeat_interleave(len(weight) // groups, 2)


_Slope = Callable[[Any, Tensor, Tensor], Tensor]
_SLOPES: dict[type[nn.Module], _Slope] = {
    nn.ReLU: lambda _, grad, out: torch.ops.aten.threshold_backward(grad, out, 0),
    nn.LeakyReLU: lambda layer, grad, out: torch.ops.aten.leaky_relu_backward(
        grad, out, layer.negative_slope, True
    ),
    nn.SiLU: lambda _, grad, normalised: torch.ops.aten.silu_backward(grad, normalised),
    nn.GELU: lambda layer, grad, normalised: torch.ops.aten.gelu_backward(
        grad, normalised, approximate=layer.approximate
    ),
}
"""Gradients of the activations: of (layer, gradient, output) for rectifiers, of the input for others."""
