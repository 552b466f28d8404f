"""A depthwise convolution whose gradients are forward convolutions, where torch's are slow on a CPU.

In channels-last memory torch 2.13 takes, for a kernel of 5, twenty times as long to the weights' gradient as
to the output in bf16 and six times in float32. That gradient is a depthwise convolution itself, of the input
with the output's gradient as its kernel, in which a sample has channels of its own: ten times faster in
bf16, 1.3 to 2 times in float32.
In bf16 the input's gradient of stride 2 is tens of times slower than the output, where a convolution over the
gradient with zeros between gives the same bits in twice the output's time. Both together made two fifths of a
training step of EfficientNet-Lite0 in the grid.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unetpp.models.gradients.applies import applies
from unetpp.models.layers import channels_last

__all__ = ["depthwise_conv"]

_SLOW_KERNEL_PX = 5
"""From which torch's gradient of the weights is slower; for a kernel of 3 it is the faster one."""


def depthwise_conv(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """`conv(x)` of a convolution with as many groups as channels, of stride 1 or 2; x (N, C, H, W)."""
    computed = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    slow = computed == torch.bfloat16 or conv.kernel_size[0] >= _SLOW_KERNEL_PX
    if slow and applies(x) and x.is_contiguous(memory_format=channels_last(2)):
        with torch.autocast("cpu", enabled=False):
            apply: Any = _DepthwiseConv.apply
            convolved: Tensor = apply(x, conv.weight, conv.bias, computed, conv.stride[0], conv.padding[0])
        return convolved
    out: Tensor = conv(x)
    return out


class _DepthwiseConv(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        computed: torch.dtype,
        stride: int,
        padding: int,
    ) -> Tensor:
        ctx.dtypes = x.dtype, weight.dtype, None if bias is None else bias.dtype
        x, weight = x.to(computed), weight.to(computed)
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        bias = None if bias is None else bias.to(computed)
        return F.conv2d(x, weight, bias, stride, padding, groups=len(weight))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        grad = grad.contiguous(memory_format=channels_last(2))
        of_x, of_weight, of_bias = ctx.needs_input_grad[:3]
        if weight.shape[-1] >= _SLOW_KERNEL_PX:
            grad_weight = _weight_gradient(ctx, grad, x, weight) if of_weight else None
            grad_bias = grad.sum((0, 2, 3), dtype=_sum_type(grad)) if of_bias else None
        else:
            _, grad_weight, grad_bias = _torchs(ctx, grad, x, weight, [False, of_weight, of_bias])
        if of_x and ctx.stride == 2 and ctx.padding == 0 and grad.dtype == torch.bfloat16:
            grad_x: Tensor | None = _input_gradient(grad, weight, x.shape[2:])
        else:
            grad_x = _torchs(ctx, grad, x, weight, [of_x, False, False])[0]
        found = zip((grad_x, grad_weight, grad_bias), ctx.dtypes, strict=True)
        given = (None if gradient is None else gradient.to(dtype) for gradient, dtype in found)
        return *given, None, None, None


def _torchs(ctx: Any, grad: Tensor, x: Tensor, weight: Tensor, mask: list[bool]) -> list[Tensor | None]:
    strides, paddings, channels = [ctx.stride] * 2, [ctx.padding] * 2, len(weight)
    found: list[Tensor | None] = torch.ops.aten.convolution_backward(
        grad, x, weight, [channels], strides, paddings, [1, 1], False, [0, 0], channels, mask
    )
    return found


def _weight_gradient(ctx: Any, grad: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """Of weight k the sum over m of grad[m] * x[stride * m + k], the sum over samples in float32 at least."""
    samples, channels, kernel = len(x), len(weight), weight.shape[-1]
    images = F.pad(x, (ctx.padding,) * 4)
    image = images.permute(2, 3, 0, 1).flatten(2).permute(2, 0, 1)[None]
    kernels = grad.permute(2, 3, 0, 1).flatten(2).permute(2, 0, 1)[:, None]
    found = F.conv2d(image, kernels.contiguous(), dilation=ctx.stride, groups=samples * channels)
    # With stride 2 rows and columns behind the last place of the kernel are left over.
    found = found[0, :, :kernel, :kernel].unflatten(0, (samples, channels))
    summed: Tensor = found.sum(0, dtype=_sum_type(grad))
    return summed[:, None]


def _sum_type(grad: Tensor) -> torch.dtype:
    return torch.promote_types(grad.dtype, torch.float32)


def _input_gradient(grad: Tensor, weight: Tensor, size: torch.Size) -> Tensor:
    """Of stride 2 without padding, where output m sees x[2m + k] with weight k."""
    batch, channels, height, width = grad.shape
    kernel = weight.shape[-1]
    spread = grad.new_zeros(batch, 2 * height - 1, 2 * width - 1, channels).permute(0, 3, 1, 2)
    spread[:, :, ::2, ::2] = grad
    found = F.conv2d(spread, weight.flip(2, 3), padding=kernel - 1, groups=channels)
    # Rows and columns behind the last place of the kernel are seen by nothing.
    return F.pad(found, (0, size[1] - found.shape[3], 0, size[0] - found.shape[2]))
