import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unetpp.models.unetpp import crop_to, pad_to_multiple


@given(
    st.lists(st.integers(1, 40), min_size=2, max_size=3),
    st.sampled_from([2, 4, 8]),
)
def test_pad_any_size_is_a_multiple_and_crops_back(size, multiple):
    x = torch.randn(1, 2, *size)
    padded = pad_to_multiple(x, [multiple] * (x.ndim - 2))
    assert all(side % multiple == 0 and side >= 2 * multiple for side in padded.shape[2:])
    assert all(new - old < 2 * multiple for new, old in zip(padded.shape[2:], size, strict=True))
    assert torch.equal(crop_to(padded, size), x)


def test_pad_repeats_the_last_pixels():
    x = torch.arange(6.0).view(1, 1, 2, 3)
    expected = torch.tensor([[0, 1, 2, 2], [3, 4, 5, 5], [3, 4, 5, 5], [3, 4, 5, 5]], dtype=torch.float32)
    assert torch.equal(pad_to_multiple(x, (2, 2))[0, 0], expected)


@pytest.mark.parametrize("size", [(16, 24), (16, 16, 32)])
def test_pad_multiple_already_returns_the_tensor_itself(size):
    x = torch.randn(1, 1, *size)
    assert pad_to_multiple(x, (8,) * len(size)) is x
