"""Attacks on a network whose gradient is known."""

import pytest
import torch
from torch import nn

from unetpp.core.manifest import IGNORE, ChannelStats
from unetpp.models.normalise import Normalise
from unetpp.objective.attacks.attack import Attack, bounds_of
from unetpp.objective.attacks.perturb import perturb

NORMALISE = Normalise([ChannelStats(mean=100, std=25, p01=0, p50=100, p99=200)])


class Linear(nn.Module):
    """Logit = slope * pixel: brighter is more of the foreground."""

    def __init__(self, slope: float = 1.0, channels: int = 1) -> None:
        super().__init__()
        self.slope, self.channels, self.passes = slope, channels, 0

    def forward(self, images):
        self.passes += 1
        return (torch.cat([self.slope * images] * self.channels, 1),), None


def change(raw, masks, attack, network=None, start=None):
    """What an attack adds, in raw values."""
    images = NORMALISE(raw)
    bounds = bounds_of(attack, NORMALISE, images)
    moved = perturb(network or Linear(), images, masks, attack, bounds, "binary", start)
    return NORMALISE.inverse(moved) - raw


def test_fgsm_moves_every_counted_pixel_by_epsilon_of_raw_values_against_its_class():
    raw = torch.full((1, 1, 2, 2), 120.0)
    masks = torch.tensor([[[0, 1], [1, IGNORE]]], dtype=torch.uint8)
    found = change(raw, masks, Attack("fgsm", 8, 3, "uint8"))
    assert found.flatten().tolist() == pytest.approx([8, -8, -8, 0], abs=1e-4)


@pytest.mark.parametrize("name", ["fgsm", "pgd", "segpgd"])
def test_attack_stays_within_the_values_of_the_dtype(name):
    raw = torch.tensor([[[[0.0, 255.0, 3.0, 250.0]]]])
    masks = torch.tensor([[[1, 0, 1, 0]]], dtype=torch.uint8)
    found = change(raw, masks, Attack(name, 8, 4, "uint8"))
    assert found.flatten().tolist() == pytest.approx([0, 0, -3, 5], abs=1e-4)


def test_attack_on_float_images_has_no_bounds_but_epsilon():
    raw = torch.tensor([[[[-4.0, 0.0]]]])
    masks = torch.tensor([[[1, 0]]], dtype=torch.uint8)
    found = change(raw, masks, Attack("pgd", 0.5, 2, "float32"))
    assert found.flatten().tolist() == pytest.approx([-0.5, 0.5], abs=1e-4)


def test_attack_leaves_an_augmented_image_that_exceeds_the_dtype_where_it_is():
    raw = torch.tensor([[[[300.0, -20.0]]]])
    masks = torch.tensor([[[0, 1]]], dtype=torch.uint8)
    found = change(raw, masks, Attack("pgd", 8, 2, "uint8"))
    assert found.flatten().tolist() == pytest.approx([0, 0], abs=1e-4)


def test_pgd_from_any_start_never_exceeds_epsilon():
    raw = torch.full((2, 1, 4, 4), 128.0)
    masks = torch.zeros(2, 4, 4, dtype=torch.uint8)
    start = torch.rand(2, 1, 4, 4) * 2 - 1
    found = change(raw, masks, Attack("pgd", 6, 1, "uint8"), start=start)
    assert found.max() == pytest.approx(6, abs=1e-4)
    assert (found >= 0 - 1e-4).all()  # a step of epsilon from -epsilon at least


@pytest.mark.parametrize(("name", "passes"), [("fgsm", 1), ("pgd", 5), ("segpgd", 5)])
def test_attack_takes_as_many_passes_as_it_says(name, passes):
    network, attack = Linear(), Attack(name, 8, 5, "uint8")
    change(torch.full((1, 1, 2, 2), 120.0), torch.ones(1, 2, 2, dtype=torch.uint8), attack, network)
    assert network.passes == attack.passes == passes


class Coupled(nn.Module):
    """Both pixels' logits come from the first: what makes one wrong makes the other right."""

    def forward(self, images):
        first = images[..., :1]
        return (torch.cat([first + 0.05, -3 * first - 1.0], -1),), None


def test_segpgd_at_its_first_step_spends_nothing_on_pixels_that_are_wrong_already():
    # The second pixel is wrong; its gradient is three times that of the first, which is right.
    raw, masks = torch.full((1, 1, 1, 2), 100.0), torch.ones(1, 1, 2, dtype=torch.uint8)
    moved = {name: change(raw, masks, Attack(name, 4, 1, "uint8"), Coupled()) for name in ("pgd", "segpgd")}
    assert moved["pgd"][0, 0, 0, 0] == pytest.approx(4, abs=1e-4)
    assert moved["segpgd"][0, 0, 0, 0] == pytest.approx(-4, abs=1e-4)


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_attack_lowers_the_scores_of_every_task(task):
    torch.manual_seed(0)
    channels = 1 if task == "binary" else 2
    network = nn.Conv2d(1, channels, 3, padding=1)
    images = torch.randn(2, 1, 8, 8)
    with torch.no_grad():
        logits = network(images)
        masks = (logits[:, 0] > 0) if task != "multiclass" else logits.argmax(1)
    attack = Attack("segpgd", 20, 3, "uint8")
    bounds = bounds_of(attack, NORMALISE, images)
    moved = perturb(lambda x: ((network(x),), None), images, masks.byte(), attack, bounds, task)
    with torch.no_grad():
        after = network(moved)
    kept = (after[:, 0] > 0) if task != "multiclass" else after.argmax(1)
    assert (kept.byte() != masks.byte()).float().mean() > 0.2
    assert (moved - images).abs().max() <= 20 / 25 + 1e-5
