"""A depthwise convolution in bf16 against torch's."""

import copy

import pytest
import torch
from torch import Tensor, nn

from unetpp.models.gradients.depthwise_conv import depthwise_conv

_CHANNELS = 6


def _conv(kernel: int, stride: int) -> nn.Conv2d:
    padding = kernel // 2 if stride == 1 else 0
    return nn.Conv2d(_CHANNELS, _CHANNELS, kernel, stride, padding, groups=_CHANNELS)


def _image(side: int, dtype: torch.dtype = torch.float32) -> Tensor:
    x = torch.randn(2, _CHANNELS, side, side + 3).to(dtype)
    return x.contiguous(memory_format=torch.channels_last).requires_grad_()


def _exact(conv: nn.Conv2d, x: Tensor, grad: Tensor) -> list[Tensor]:
    """Gradients in float64 of what bf16 makes of the operands."""
    double = copy.deepcopy(conv).bfloat16().double()
    leaf = x.detach().bfloat16().double().requires_grad_()
    leaves = [leaf, double.weight, *([] if double.bias is None else [double.bias])]
    return list(torch.autograd.grad(double(leaf), leaves, grad.double()))


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize(("stride", "side"), [(1, 9), (2, 9), (2, 10)])
def test_depthwise_conv_under_autocast_equals_torch(kernel, stride, side):
    conv, x = _conv(kernel, stride), _image(side)
    with torch.autocast("cpu", torch.bfloat16):
        out, expected = depthwise_conv(conv, x), conv(x)
    assert out.dtype == torch.bfloat16
    assert torch.equal(out, expected)
    grad = torch.randn_like(out)
    found = torch.autograd.grad(out, [x, conv.weight, conv.bias], grad)
    assert {gradient.dtype for gradient in found} == {torch.float32}
    for gradient, exact in zip(found, _exact(conv, x, grad), strict=True):
        torch.testing.assert_close(gradient.double(), exact, rtol=1e-2, atol=5e-2)


@pytest.mark.parametrize("kernel", [3, 5])
def test_depthwise_conv_input_gradient_of_stride_2_has_torchs_bits(kernel):
    conv, x = _conv(kernel, stride=2), _image(11)
    with torch.autocast("cpu", torch.bfloat16):
        out, expected = depthwise_conv(conv, x), conv(x)
    grad = torch.randn_like(out)
    found, torchs = (torch.autograd.grad(each, x, grad)[0] for each in (out, expected))
    assert torch.equal(found, torchs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("stride", "side"), [(1, 1), (1, 9), (2, 9), (2, 10)])
def test_depthwise_conv_of_a_large_kernel_equals_torch(stride, side, dtype):
    conv, x = _conv(5, stride).to(dtype), _image(side, dtype)
    out, expected = depthwise_conv(conv, x), conv(x)
    assert torch.equal(out, expected)
    assert type(out.grad_fn) is not type(expected.grad_fn)
    grad, leaves = torch.randn_like(out), [x, conv.weight, conv.bias]
    found, torchs = (torch.autograd.grad(each, leaves, grad) for each in (out, expected))
    torch.testing.assert_close(found, torchs)


def test_depthwise_conv_frozen_weights_get_no_gradient():
    conv, x = _conv(5, stride=2).requires_grad_(False), _image(9)
    with torch.autocast("cpu", torch.bfloat16):
        depthwise_conv(conv, x).float().sum().backward()
    assert conv.weight.grad is None
    assert x.grad is not None


def test_depthwise_conv_of_a_small_kernel_in_float32_is_torchs():
    conv, x = _conv(3, stride=1), _image(9)
    assert type(depthwise_conv(conv, x).grad_fn) is type(conv(x).grad_fn)
