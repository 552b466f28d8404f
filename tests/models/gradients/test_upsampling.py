"""The hand-written gradient against torch's: equal in float64, within the rounding of bfloat16."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from unetpp.models.gradients.upsampling import enlarge_logits, upsample_linear

CASES = [
    ((2, 2), (5, 7)),
    ((2, 2), (1, 1)),
    ((2, 2), (2, 1)),
    ((1, 2), (4, 3)),
    ((2, 2, 2), (3, 4, 5)),
    ((1, 2, 2), (3, 2, 4)),
    ((2, 2, 2), (1, 1, 1)),
]


def _images(size: tuple[int, ...], dtype: torch.dtype, channels: int = 6) -> Tensor:
    last = torch.channels_last if len(size) == 2 else torch.channels_last_3d
    images = torch.randn(2, channels, *size).to(dtype).contiguous(memory_format=last)
    return images.requires_grad_()


def _reference(x: Tensor, factors: tuple[int, ...]) -> Tensor:
    mode = "bilinear" if len(factors) == 2 else "trilinear"
    return F.interpolate(x, scale_factor=tuple(map(float, factors)), mode=mode, align_corners=False)


@pytest.mark.parametrize(("factors", "size"), CASES, ids=str)
def test_upsample_linear_any_size_equals_torch(factors, size):
    x = _images(size, torch.float64)
    out, expected = upsample_linear(x, factors), _reference(x, factors)
    assert torch.equal(out, expected)
    grad = torch.randn_like(out)
    torch.testing.assert_close(torch.autograd.grad(out, x, grad), torch.autograd.grad(expected, x, grad))


@pytest.mark.parametrize("channels", [1, 3, 16, 33])
def test_upsample_linear_bf16_gradient_is_as_near_as_torch_s_and_stays_channels_last(channels):
    x = _images((9, 6), torch.bfloat16, channels)
    out = upsample_linear(x, (2, 2))
    grad = torch.randn_like(out)
    (found,) = torch.autograd.grad(out, x, grad)
    exact_x = x.detach().double().requires_grad_()
    (exact,) = torch.autograd.grad(_reference(exact_x, (2, 2)), exact_x, grad.double())
    torch.testing.assert_close(found.double(), exact, rtol=2**-7, atol=2**-6)
    assert found.dtype == torch.bfloat16
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_upsample_linear_contiguous_images_equal_torch():
    x = torch.randn(2, 3, 4, 5, requires_grad=True)
    assert torch.equal(upsample_linear(x, (2, 2)), _reference(x, (2, 2)))


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize(("channels", "size"), [(1, (1, 1)), (1, (3, 8)), (11, (9, 6))], ids=str)
def test_enlarged_logits_bf16_gradient_is_within_rounding_of_exact(factor, channels, size):
    x = _images(size, torch.bfloat16, channels)
    out = enlarge_logits(x, factor)
    assert torch.equal(out, _reference(x, (factor, factor)))
    grad = torch.randn_like(out)
    (found,) = torch.autograd.grad(out, x, grad)
    exact_x = x.detach().double().requires_grad_()
    (exact,) = torch.autograd.grad(_reference(exact_x, (factor, factor)), exact_x, grad.double())
    # Rounded twice, once along each axis.
    torch.testing.assert_close(found.double(), exact, rtol=2**-6, atol=2**-5)


def test_enlarged_logits_in_float32_are_torch_s():
    x = _images((3, 4), torch.float32)
    assert type(enlarge_logits(x, 2).grad_fn) is type(_reference(x, (2, 2)).grad_fn)
