"""A convolution of joined inputs against torch's of their concatenation."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from unetpp.models.gradients.joined_conv import joined_conv
from unetpp.models.layers import conv_layer


def _inputs(size: tuple[int, ...], *channels: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    last = torch.channels_last if len(size) == 2 else torch.channels_last_3d
    tensors = [torch.randn(2, count, *size).to(dtype).contiguous(memory_format=last) for count in channels]
    return [tensor.requires_grad_() for tensor in tensors]


def _conv(in_channels: int, size: tuple[int, ...], dilation: int = 1) -> Any:
    conv = conv_layer(in_channels, 4, spatial_dims=len(size), kernel=3, dilation=dilation)
    nn.init.normal_(conv.bias)
    return conv.double()


@pytest.mark.parametrize("dilation", [1, 3])
@pytest.mark.parametrize("size", [(6, 5), (4, 5, 6)], ids=str)
def test_joined_conv_any_number_of_inputs_equals_torch(size, dilation):
    conv, inputs = _conv(9, size, dilation), _inputs(size, 2, 3, 4)
    out, expected = joined_conv(conv, *inputs), conv(torch.cat(inputs, 1))
    assert torch.equal(out, expected)
    leaves, grad = [conv.weight, conv.bias, *inputs], torch.randn_like(out)
    torch.testing.assert_close(
        torch.autograd.grad(out, leaves, grad), torch.autograd.grad(expected, leaves, grad)
    )


def test_joined_conv_autocast_gives_float32_weight_gradients_and_bf16_output():
    conv, inputs = _conv(5, (6, 6)).float(), _inputs((6, 6), 2, 3, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        out, expected = joined_conv(conv, *inputs), conv(torch.cat(inputs, 1))
    assert out.dtype == torch.bfloat16
    assert torch.equal(out, expected)
    out.float().square().sum().backward()
    assert {tensor.grad.dtype for tensor in (conv.weight, conv.bias, *inputs)} == {torch.float32}


def test_joined_conv_does_not_keep_the_concatenation():
    conv, inputs = _conv(9, (8, 8)), _inputs((8, 8), 2, 3, 4)
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x):
        joined_conv(conv, *inputs)
    assert {tuple(tensor.shape) for tensor in kept if tensor.ndim == 4} == {
        tuple(tensor.shape) for tensor in (conv.weight, *inputs)
    }


def test_joined_conv_an_input_without_gradient_gets_none():
    conv, (first, second) = _conv(5, (6, 6)), _inputs((6, 6), 2, 3)
    joined_conv(conv, first.detach(), second).sum().backward()
    assert first.grad is None
    assert second.grad is not None
