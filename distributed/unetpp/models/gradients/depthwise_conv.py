"""A depthwise convolution whose gradients in bf16 take fast paths of oneDNN.

On a CPU in channels-last memory torch 2.13 takes, for a kernel of 5 and bf16, 3 to 5 times as long to the
weights' gradient as in float32, casts included; and to the input's gradient of stride 2 tens of times as long
as to the output, where a convolution over the gradient spread by zeros gives the same bits in twice its time.
Both made two fifths of a training step of EfficientNet-Lite0 in the grid.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unetpp.models.gradients.applies import applies
from unetpp.models.layers import channels_last

__all__ = ["depthwise_conv"]

_SLOW_KERNEL_PX = 5
"""From which the weights' gradient is computed in float32; with a kernel of 3 bf16 is as fast."""


def depthwise_conv(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """`conv(x)` of a convolution with as many groups as channels, of stride 1 or 2; x (N, C, H, W)."""
    if _in_bf16(x) and applies(x) and x.is_contiguous(memory_format=channels_last(2)):
        with torch.autocast("cpu", enabled=False):
            apply: Any = _DepthwiseConv.apply
            convolved: Tensor = apply(x, conv.weight, conv.bias, conv.stride[0], conv.padding[0])
        return convolved
    out: Tensor = conv(x)
    return out


def _in_bf16(x: Tensor) -> bool:
    computed = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    return computed == torch.bfloat16


class _DepthwiseConv(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int
    ) -> Tensor:
        low, low_weight = x.bfloat16(), weight.bfloat16()
        ctx.save_for_backward(low, low_weight)
        ctx.stride, ctx.padding = stride, padding
        ctx.dtypes = x.dtype, weight.dtype, None if bias is None else bias.dtype
        low_bias = None if bias is None else bias.bfloat16()
        return F.conv2d(low, low_weight, low_bias, stride, padding, groups=len(weight))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        grad = grad.contiguous(memory_format=channels_last(2))
        of_x, of_weight, of_bias = ctx.needs_input_grad[:3]
        grad_x: Tensor | None = None
        grad_weight: Tensor | None = None
        grad_bias: Tensor | None = None
        if of_x and ctx.stride == 2 and ctx.padding == 0:
            grad_x = _input_gradient(grad, weight, x.shape[2:])
        elif of_x:
            grad_x = _gradients(ctx, grad, x, weight, [True, False, False])[0]
        if of_weight or of_bias:
            if weight.shape[-1] >= _SLOW_KERNEL_PX:
                grad, x, weight = grad.float(), x.float(), weight.float()
            _, grad_weight, grad_bias = _gradients(ctx, grad, x, weight, [False, of_weight, of_bias])
        found = zip((grad_x, grad_weight, grad_bias), ctx.dtypes, strict=True)
        return *(None if gradient is None else gradient.to(dtype) for gradient, dtype in found), None, None


def _gradients(ctx: Any, grad: Tensor, x: Tensor, weight: Tensor, mask: list[bool]) -> list[Tensor | None]:
    strides, paddings, channels = [ctx.stride] * 2, [ctx.padding] * 2, len(weight)
    found: list[Tensor | None] = torch.ops.aten.convolution_backward(
        grad, x, weight, [channels], strides, paddings, [1, 1], False, [0, 0], channels, mask
    )
    return found


def _input_gradient(grad: Tensor, weight: Tensor, size: torch.Size) -> Tensor:
    """Of stride 2 without padding, where output m sees x[2m + k] with weight k."""
    batch, channels, height, width = grad.shape
    kernel = weight.shape[-1]
    spread = grad.new_zeros(batch, 2 * height - 1, 2 * width - 1, channels).permute(0, 3, 1, 2)
    spread[:, :, ::2, ::2] = grad
    found = F.conv2d(spread, weight.flip(2, 3), padding=kernel - 1, groups=channels)
    # Rows and columns behind the last place of the kernel are seen by nothing.
    return F.pad(found, (0, size[1] - found.shape[3], 0, size[0] - found.shape[2]))
