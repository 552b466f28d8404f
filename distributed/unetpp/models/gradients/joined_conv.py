"""A convolution over concatenated inputs whose gradient is computed input by input.

The concatenation is not kept for the backward pass, and no gradient of it is made and cut up: on a CPU the
backward pass of 4 skips of 32 channels and 64 from below takes 0.70 of the time in fp32 and 0.83 in bf16.
"""

from typing import Any

import torch
from torch import Tensor, nn

from unetpp.models.gradients.applies import applies

__all__ = ["joined_conv"]


def joined_conv(conv: nn.Conv2d | nn.Conv3d, *inputs: Tensor) -> Tensor:
    """`conv` of the inputs' concatenation along channels; each (N, C_k, *size)."""
    if len(inputs) == 1 or not applies(inputs[0]):
        out: Tensor = conv(inputs[0] if len(inputs) == 1 else torch.cat(inputs, 1))
        return out
    weight, bias, parts = conv.weight, conv.bias, inputs
    if torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
        weight, bias = weight.to(dtype), None if bias is None else bias.to(dtype)
        parts = tuple(part.to(dtype) for part in inputs)
    with torch.autocast("cpu", enabled=False):
        apply: Any = _JoinedConv.apply
        joined: Tensor = apply(weight, bias, conv.padding, conv.dilation, *parts)
    return joined


class _JoinedConv(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, bias: Tensor | None, padding: Any, dilation: Any, *inputs: Tensor
    ) -> Tensor:
        ctx.save_for_backward(weight, *inputs)
        ctx.padding, ctx.dilation, ctx.has_bias = padding, dilation, bias is not None
        ones, zeros = [1] * (weight.ndim - 2), [0] * (weight.ndim - 2)
        return torch.convolution(torch.cat(inputs, 1), weight, bias, ones, padding, dilation, False, zeros, 1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        weight, *inputs = ctx.saved_tensors
        ones, zeros = [1] * (weight.ndim - 2), [0] * (weight.ndim - 2)
        needs_weight, needs_bias = ctx.needs_input_grad[:2]
        grad_bias, grad_weights, grad_inputs, start = None, [], [], 0
        for part, needed in zip(inputs, ctx.needs_input_grad[4:], strict=True):
            asked = [needed, needs_weight, ctx.has_bias and needs_bias and start == 0]
            part_weight = weight.narrow(1, start, part.shape[1])
            found = torch.ops.aten.convolution_backward(
                grad,
                part,
                part_weight,
                [len(weight)],
                ones,
                ctx.padding,
                ctx.dilation,
                False,
                zeros,
                1,
                asked,
            )
            grad_inputs.append(found[0])
            grad_weights.append(found[1])
            grad_bias = grad_bias if found[2] is None else found[2]
            start += part.shape[1]
        return (torch.cat(grad_weights, 1) if needs_weight else None), grad_bias, None, None, *grad_inputs
