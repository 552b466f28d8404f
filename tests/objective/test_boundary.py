import pytest
import torch

from unetpp.objective.losses import boundary, distance_map
from unetpp.objective.targets import encode_target


def square(size: int, low: int, high: int) -> torch.Tensor:
    mask = torch.zeros(1, size, size, dtype=torch.uint8)
    mask[:, low:high, low:high] = 1
    return mask


def loss_of(predicted: torch.Tensor, true: torch.Tensor) -> float:
    encoded = encode_target(true, "binary", 1)
    logits = (predicted.unsqueeze(1).float() * 2 - 1) * 50
    return boundary(logits, distance_map(encoded.target), encoded.valid, softmax=False).item()


def test_boundary_grows_with_the_distance_of_the_error():
    true = square(16, 4, 8)
    near, far = true.clone(), true.clone()
    near[0, 8, 8] = far[0, 15, 15] = 1
    missing = square(16, 5, 7)
    assert loss_of(true, true) < loss_of(near, true) < loss_of(far, true)
    # Kervadec's map is 0 on the inner border: only pixels further inside are missed.
    assert loss_of(missing, true) <= loss_of(torch.zeros_like(true), true)


def test_boundary_value_is_the_mean_of_p_times_distance():
    true = square(8, 2, 6)
    encoded = encode_target(true, "binary", 1)
    distances = distance_map(encoded.target)
    logits = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    got = boundary(logits, distances, encoded.valid, softmax=False)
    torch.testing.assert_close(got, (logits.sigmoid() * distances).mean().view(1))


@pytest.mark.parametrize("factor", [2, 4])
def test_distance_map_enlarged_image_reaches_as_far(factor):
    small = square(32, 8, 24)
    large = small.repeat_interleave(factor, 1).repeat_interleave(factor, 2)
    far = [distance_map(encode_target(mask, "binary", 1).target).max().item() for mask in (small, large)]
    assert far[1] == pytest.approx(far[0], rel=0.1)


def test_boundary_absent_class_and_ignored_image_are_zero():
    logits = torch.randn(1, 1, 8, 8, requires_grad=True)
    for value in (0, 255):
        encoded = encode_target(torch.full((1, 8, 8), value, dtype=torch.uint8), "binary", 1)
        loss = boundary(logits, distance_map(encoded.target), encoded.valid, softmax=False)
        assert loss.item() == 0
        assert torch.autograd.grad(loss.sum(), logits)[0].abs().max() == 0
