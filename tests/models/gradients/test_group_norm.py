"""Group norm with its activation against torch's two layers."""

import pytest
import torch
from torch import Tensor, nn

from unetpp.models.gradients import group_norm
from unetpp.models.gradients.group_norm import norm_activation
from unetpp.models.layers import activation_layer


@pytest.fixture(autouse=True)
def _small_images_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_SLOW_BF16", "_SLOW_FLOAT"):
        monkeypatch.setattr(group_norm, name, (16, 1))


def _norm(channels: int, dtype: torch.dtype = torch.float64) -> nn.GroupNorm:
    norm = nn.GroupNorm(2, channels)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm.to(dtype)


def _images(size: tuple[int, ...], dtype: torch.dtype = torch.float64) -> Tensor:
    last = torch.channels_last if len(size) == 2 else torch.channels_last_3d
    images = (3 + 2 * torch.randn(3, 6, *size)).to(dtype).contiguous(memory_format=last)
    return images.requires_grad_()


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "silu", "gelu"])
@pytest.mark.parametrize("size", [(6, 5), (4, 5, 6)], ids=str)
def test_norm_activation_every_kind_equals_torch(size, activation):
    norm, layer, x = _norm(6), activation_layer(activation), _images(size)
    out, expected = norm_activation(norm, layer, x), layer(norm(x))
    assert torch.equal(out, expected)
    leaves, grad = [x, norm.weight, norm.bias], torch.randn_like(out)
    torch.testing.assert_close(
        torch.autograd.grad(out, leaves, grad), torch.autograd.grad(expected, leaves, grad)
    )


def test_norm_activation_contiguous_images_equal_torch():
    norm, layer = _norm(6), nn.ReLU()
    x = torch.randn(2, 6, 4, 5, dtype=torch.float64, requires_grad=True)
    found, expected = norm_activation(norm, layer, x), layer(norm(x))
    torch.testing.assert_close(
        torch.autograd.grad(found.square().sum(), x), torch.autograd.grad(expected.square().sum(), x)
    )


def test_norm_activation_constant_images_have_a_finite_gradient():
    norm, x = _norm(6), torch.ones(2, 6, 4, 5, dtype=torch.float64, requires_grad=True)
    norm_activation(norm, nn.ReLU(), x).square().sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_norm_activation_bf16_gradient_is_one_rounding_farther_than_torch_s():
    norm, layer = _norm(6, torch.float32), nn.ReLU()
    x = _images((32, 32), torch.bfloat16)
    grad = torch.randn(3, 6, 32, 32).to(torch.bfloat16).contiguous(memory_format=torch.channels_last)

    def gradients(out: Tensor, inputs: Tensor, weight: Tensor, bias: Tensor) -> list[Tensor]:
        found = torch.autograd.grad(out, [inputs, weight, bias], grad.to(out.dtype))
        return [tensor.double() for tensor in found]

    ours = gradients(norm_activation(norm, layer, x), x, norm.weight, norm.bias)
    torchs = gradients(layer(norm(x)), x, norm.weight, norm.bias)
    exact_x, exact_norm = x.detach().double().requires_grad_(), nn.GroupNorm(2, 6).double()
    exact_norm.load_state_dict(norm.state_dict())
    exact = gradients(layer(exact_norm(exact_x)), exact_x, exact_norm.weight, exact_norm.bias)
    for own, theirs, true in zip(ours, torchs, exact, strict=True):
        # One more rounding of a value than torch's: sqrt(2) times its error.
        assert (own - true).norm() <= 1.5 * (theirs - true).norm() + 1e-4 * true.norm()
