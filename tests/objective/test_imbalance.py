"""Class weights, hardest pixels, Dice over present classes, Lovasz and clDice, against their definitions."""

import pytest
import torch
import torch.nn.functional as F
from monai.losses.cldice import soft_skel
from torch import Tensor

from unetpp.objective.cldice import soft_cldice, soft_skeleton
from unetpp.objective.losses import cross_entropy, dice, focal, weigh_pixels
from unetpp.objective.lovasz import lovasz
from unetpp.objective.targets import encode_target

CLASSES = 4


@pytest.fixture
def sample() -> tuple[Tensor, Tensor]:
    """Logits (2, 4, 9, 7) and a mask of four classes and some ignored pixels."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, CLASSES, 9, 7, generator=generator, requires_grad=True)
    mask = torch.randint(0, CLASSES, (2, 9, 7), generator=generator).to(torch.uint8)
    mask[:, 0, :3] = 255
    return logits, mask


def test_class_weights_weigh_pixels_as_torch_does(sample) -> None:
    logits, mask = sample
    weights = (0.5, 1.0, 2.0, 4.0)
    target = encode_target(mask, "multiclass", CLASSES)
    found = cross_entropy(
        logits, *target, softmax=True, pixel_weights=weigh_pixels(target.target, weights, softmax=True)
    )
    summed = F.cross_entropy(
        logits, mask.long(), torch.tensor(weights), ignore_index=255, reduction="none"
    ).flatten(1)
    torch.testing.assert_close(found, summed.sum(1) / target.valid.flatten(1).sum(1))


def test_class_weights_of_a_binary_task_weigh_its_foreground(sample) -> None:
    logits, mask = sample[0][:, :1], (sample[1] % 2).where(sample[1] < 255, 255)
    target = encode_target(mask, "binary", 1)
    found = cross_entropy(
        logits, *target, softmax=False, pixel_weights=weigh_pixels(target.target, (3.0,), softmax=False)
    )
    reference = F.binary_cross_entropy_with_logits(
        logits, target.target, pos_weight=torch.tensor([3.0]), reduction="none"
    )
    wanted = (reference * target.valid).flatten(1).sum(1) / target.valid.flatten(1).sum(1)
    torch.testing.assert_close(found, wanted)


def test_focal_without_gamma_and_weights_alike_are_weighted_cross_entropy(sample) -> None:
    logits, mask = sample
    target = encode_target(mask, "multiclass", CLASSES)
    weights = weigh_pixels(target.target, (1.0, 2.0, 3.0, 4.0), softmax=True)
    options = {"softmax": True, "pixel_weights": weights}
    torch.testing.assert_close(
        focal(logits, *target, gamma=0.0, **options), cross_entropy(logits, *target, **options)
    )


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_hardest_pixels_are_those_of_the_largest_loss(sample, share: float) -> None:
    logits, mask = sample
    target = encode_target(mask, "multiclass", CLASSES)
    found = cross_entropy(logits, *target, softmax=True, hardest=share)
    pixels = F.cross_entropy(logits, mask.long(), ignore_index=255, reduction="none")
    for image in range(2):
        valid = pixels[image][mask[image] != 255]
        count = -int(-len(valid) * share // 1)
        torch.testing.assert_close(found[image], valid.topk(count).values.mean())


def test_hardest_pixels_of_a_diverged_network_have_no_finite_loss(sample) -> None:
    logits, mask = sample
    target = encode_target(mask, "multiclass", CLASSES)
    broken = logits.detach().clone()
    broken[:, :, 5, 0] = torch.nan
    assert not cross_entropy(broken, *target, softmax=True, hardest=0.25).isfinite().any()


def test_hardest_pixels_of_an_ignored_image_have_no_loss() -> None:
    logits = torch.randn(1, 2, 4, 4, requires_grad=True)
    target = encode_target(torch.full((1, 4, 4), 255, dtype=torch.uint8), "multiclass", 2)
    loss = cross_entropy(logits, *target, softmax=True, hardest=0.25)
    loss.sum().backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_dice_over_present_classes_leaves_absent_ones_out(sample) -> None:
    logits, mask = sample
    mask = mask.where(mask != 3, 0)
    target = encode_target(mask, "multiclass", CLASSES)
    p = logits.softmax(1) * target.valid
    each = []
    for index in range(3):
        y = target.target[:, index]
        tp, total = (p[:, index] * y).flatten(1).sum(1), (p[:, index] + y).flatten(1).sum(1)
        each.append(1 - (tp + 1) / (total / 2 + 1))
    found = dice(logits, *target, softmax=True, present_only=True)
    torch.testing.assert_close(found, torch.stack(each, 1).mean(1))
    assert (dice(logits, *target, softmax=True) > found).all()


def lovasz_of_one_class(errors: Tensor, truth: Tensor) -> Tensor:
    """By its definition: errors in falling order, each times the growth of 1 - IoU it causes."""
    loss, wrong, before = torch.zeros(()), truth.clone() * 0, 0.0
    for pixel in errors.argsort(descending=True):
        wrong[pixel] = 1
        intersection = (truth * (1 - wrong)).sum()
        union = (truth + (1 - truth) * wrong).sum()
        jaccard = float(1 - intersection / union)
        loss, before = loss + errors[pixel] * (jaccard - before), jaccard
    return loss


def test_lovasz_is_its_definition(sample) -> None:
    logits, mask = sample
    mask = mask.where(mask != 255, 0).where(mask != 2, 1)
    target = encode_target(mask, "multiclass", CLASSES)
    found = lovasz(logits, *target, softmax=True)
    for image in range(2):
        p = logits[image].softmax(0).flatten(1)
        truth = target.target[image].flatten(1)
        terms = [lovasz_of_one_class((truth[c] - p[c]).abs(), truth[c]) for c in (0, 1, 3)]
        torch.testing.assert_close(found[image], torch.stack(terms).mean())


def test_lovasz_of_sure_predictions_is_one_minus_iou() -> None:
    truth = torch.zeros(1, 8, 8, dtype=torch.uint8)
    truth[:, :4] = 1
    predicted = torch.zeros(1, 1, 8, 8)
    predicted[:, :, 2:6] = 1
    target = encode_target(truth, "binary", 1)
    assert lovasz((predicted - 0.5) * 200, *target, softmax=False).item() == pytest.approx(1 - 16 / 48)


@pytest.mark.parametrize("size", [(12, 15), (6, 9, 7)])
def test_soft_skeleton_is_that_of_monai(size: tuple[int, ...]) -> None:
    values = torch.rand(2, 1, *size, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(soft_skeleton(values, 3), soft_skel(values, 3))


def test_cldice_prefers_an_unbroken_line_to_as_many_pixels_elsewhere() -> None:
    truth = torch.zeros(1, 32, 32, dtype=torch.uint8)
    truth[:, 14:17, 2:30] = 1
    broken, thin = truth.clone(), truth.clone()
    broken[:, :, 10:18] = 0
    thin[:, 14] = 0
    target = encode_target(truth, "binary", 1)
    losses = [
        soft_cldice((mask.float()[:, None] - 0.5) * 40, *target, softmax=False).item()
        for mask in (truth, thin, broken)
    ]
    assert losses[0] == pytest.approx(0, abs=1e-3)
    assert losses[0] <= losses[1] < losses[2]
