import pytest
import torch
from monai.losses import DiceLoss, FocalLoss, TverskyLoss

from unetpp.objective.losses import cross_entropy, dice, focal, tversky
from unetpp.objective.targets import encode_target

LOSSES = {
    "cross_entropy": cross_entropy,
    "dice": dice,
    "focal": lambda *a, softmax: focal(*a, softmax=softmax, gamma=1.5),
    "focal_sharp": lambda *a, softmax: focal(*a, softmax=softmax, gamma=0.5),
    "tversky": lambda *a, softmax: tversky(*a, softmax=softmax, alpha=0.3, beta=0.7),
}


@pytest.fixture(params=sorted(LOSSES))
def loss(request):
    return LOSSES[request.param]


def assert_same_value_and_gradient(logits, ours, reference):
    """Both (N,); gradients of a weighted sum, so that the images are told apart."""
    torch.testing.assert_close(ours, reference)
    weights = torch.tensor([1.0, 2.0, 0.5])
    expected = torch.autograd.grad((reference * weights).sum(), logits)
    torch.testing.assert_close(torch.autograd.grad((ours * weights).sum(), logits), expected)


def test_cross_entropy_without_ignored_pixels_equals_torch(make_batch, task):
    logits, mask, _ = batch = make_batch(task)
    target, valid = encode_target(mask, task, logits.shape[1])
    if batch.softmax:
        reference = torch.nn.functional.cross_entropy(logits, mask.long(), reduction="none").mean((1, 2))
    else:
        pixels = torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
        reference = pixels.mean((1, 2, 3))
    assert_same_value_and_gradient(
        logits, cross_entropy(logits, target, valid, softmax=batch.softmax), reference
    )


def test_dice_without_ignored_pixels_equals_monai(make_batch, task):
    logits, mask, _ = batch = make_batch(task)
    target, valid = encode_target(mask, task, logits.shape[1])
    # Ours counts tp + 1 over (p + y) / 2 + 1: MONAI's form with 2.
    monai = DiceLoss(
        softmax=batch.softmax, sigmoid=not batch.softmax, smooth_nr=2, smooth_dr=2, reduction="none"
    )
    reference = monai(logits, target).flatten(1).mean(1)
    assert_same_value_and_gradient(logits, dice(logits, target, valid, softmax=batch.softmax), reference)


def test_tversky_without_ignored_pixels_equals_monai(make_batch, task):
    logits, mask, _ = batch = make_batch(task)
    target, valid = encode_target(mask, task, logits.shape[1])
    monai = TverskyLoss(
        softmax=batch.softmax,
        sigmoid=not batch.softmax,
        alpha=0.3,
        beta=0.7,
        smooth_nr=1,
        smooth_dr=1,
        reduction="none",
    )
    reference = monai(logits, target).flatten(1).mean(1)
    ours = tversky(logits, target, valid, softmax=batch.softmax, alpha=0.3, beta=0.7)
    assert_same_value_and_gradient(logits, ours, reference)


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0])
def test_focal_without_ignored_pixels_equals_monai(make_batch, task, gamma):
    logits, mask, _ = batch = make_batch(task)
    target, valid = encode_target(mask, task, logits.shape[1])
    pixels = FocalLoss(gamma=gamma, use_softmax=batch.softmax, reduction="none")(logits, target)
    reference = pixels.sum(1).mean((1, 2)) if batch.softmax else pixels.mean((1, 2, 3))
    ours = focal(logits, target, valid, softmax=batch.softmax, gamma=gamma)
    assert_same_value_and_gradient(logits, ours, reference)


def test_loss_ignored_pixels_equals_loss_of_the_others_alone(make_batch, task, loss):
    batch = make_batch(task, ignored=0.4)
    logits, mask = batch.logits, batch.mask
    encoded = encode_target(mask, task, logits.shape[1])
    ours = loss(logits, *encoded, softmax=batch.softmax)
    for n in range(len(logits)):
        kept = encoded.valid[n, 0].bool()
        # (C, kept pixels) as an image of one row
        alone = encode_target(mask[n][kept].view(1, 1, -1), task, logits.shape[1])
        expected = loss(logits[n][:, kept].unsqueeze(0).unsqueeze(2), *alone, softmax=batch.softmax)
        torch.testing.assert_close(ours[n], expected[0])
    gradient = torch.autograd.grad(ours.sum(), logits)[0]
    assert gradient[(encoded.valid == 0).expand_as(gradient)].abs().max() == 0


def test_loss_no_valid_pixel_is_zero_with_zero_gradient(make_batch, task, loss):
    batch = make_batch(task, ignored=2.0)
    encoded = encode_target(batch.mask, task, batch.logits.shape[1])
    losses = loss(batch.logits, *encoded, softmax=batch.softmax)
    assert losses.tolist() == [0, 0, 0]
    assert torch.autograd.grad(losses.sum(), batch.logits)[0].abs().max() == 0


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_loss_extreme_logits_stays_finite_and_not_negative(make_batch, task, loss, scale):
    batch = make_batch(task)
    logits = (batch.logits.detach() * scale).requires_grad_()
    losses = loss(logits, *encode_target(batch.mask, task, logits.shape[1]), softmax=batch.softmax)
    assert losses.isfinite().all()
    assert losses.min() >= 0
    assert torch.autograd.grad(losses.sum(), logits)[0].isfinite().all()


def test_loss_perfect_prediction_is_nearly_zero(make_batch, task, loss):
    batch = make_batch(task)
    encoded = encode_target(batch.mask, task, batch.logits.shape[1])
    losses = loss((encoded.target * 2 - 1) * 50, *encoded, softmax=batch.softmax)
    torch.testing.assert_close(losses, torch.zeros(3), atol=1e-5, rtol=0)


def test_loss_half_precision_logits_is_computed_in_float32(make_batch, task, loss):
    batch = make_batch(task)
    encoded = encode_target(batch.mask, task, batch.logits.shape[1])
    half = batch.logits.detach().bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        losses = loss(half, *encoded, softmax=batch.softmax)
    assert losses.dtype == torch.float32
    torch.testing.assert_close(losses, loss(half.float(), *encoded, softmax=batch.softmax))


def test_loss_three_dimensions_equals_flat_image(make_batch, task, loss):
    batch = make_batch(task, ignored=0.2, size=(3, 4, 5))
    channels = batch.logits.shape[1]
    volume = loss(batch.logits, *encode_target(batch.mask, task, channels), softmax=batch.softmax)
    flat = encode_target(batch.mask.view(3, 3, 20), task, channels)
    torch.testing.assert_close(
        volume, loss(batch.logits.view(3, channels, 3, 20), *flat, softmax=batch.softmax)
    )
