"""How certain a network is, against the definitions computed pixel by pixel."""

import numpy as np
import pytest
import torch

from unetpp.inference.predictor import masks_from_logits
from unetpp.objective.certainty import certainty, ranking

SIZE = (9, 12)


def drawn(channels: int, levels: int = 3, images: int = 4) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(channels)
    return [torch.randn(images, channels, *SIZE, generator=generator) * 2 for _ in range(levels)]


def masks_of(logits: torch.Tensor, task: str) -> np.ndarray:
    """bool (C, H, W) of an image's logits."""
    if task != "multiclass":
        return (logits > 0).numpy()
    return (np.arange(len(logits))[:, None, None] == logits.argmax(0).numpy()).astype(bool)


def mean_dice(one: np.ndarray, other: np.ndarray) -> float:
    found = [
        2 * (a & b).sum() / (a.sum() + b.sum()) for a, b in zip(one, other, strict=True) if (a | b).any()
    ]
    return float(np.mean(found)) if found else 1.0


@pytest.mark.parametrize(("task", "channels"), [("binary", 1), ("multiclass", 4), ("multilabel", 3)])
def test_certainty_is_what_its_definition_says(task, channels):
    levels = drawn(channels)
    found = certainty(levels, masks_from_logits(levels[-1], task), task).numpy()
    for n in range(len(levels[0])):
        deepest = masks_of(levels[-1][n], task)
        agreed = [mean_dice(masks_of(level[n], task), deepest) for level in levels[:-1]]
        logits = levels[-1][n].double()
        if task == "multiclass":
            chances = logits.softmax(0).numpy()
            entropy = -(chances * np.log(chances)).sum(0) / np.log(channels)
            largest = chances.max(0)
        else:
            p = logits.sigmoid().numpy()
            entropy = -(p * np.log(p) + (1 - p) * np.log(1 - p)) / np.log(2)
            largest = np.maximum(p, 1 - p)
        expected = [np.mean(agreed), largest.mean(), 1 - entropy.mean()]
        np.testing.assert_allclose(found[n], expected, rtol=1e-5)


def test_levels_that_agree_are_certain_and_one_level_alone_says_nothing():
    (logits,) = drawn(1, levels=1)
    masks = masks_from_logits(logits, "binary")
    np.testing.assert_array_equal(certainty([logits, 3 * logits], masks, "binary")[:, 0], 1.0)
    assert certainty([logits], masks, "binary")[:, 0].isnan().all()


def test_ranking_is_best_in_the_order_of_dice_and_worst_in_the_reverse():
    dice = np.array([0.2, 0.9, 0.5, 0.7])
    best, worst = ranking(dice * 3, dice), ranking(-dice, dice)
    assert best is not None
    assert worst is not None
    assert (best["spearman"], worst["spearman"]) == (pytest.approx(1), pytest.approx(-1))
    # 1 - Dice of the best 1, 2, 3 and 4: 0.1, 0.2, 0.3, 0.425
    assert best["risk_coverage"] == best["risk_coverage_best"] == pytest.approx((0.1 + 0.2 + 0.3 + 0.425) / 4)
    assert worst["risk_coverage"] > best["risk_coverage"]


@pytest.mark.parametrize(
    ("certain", "dice"),
    [([0.5], [0.5]), ([0.5, 0.5], [0.1, 0.2]), ([0.1, 0.2], [1, 1]), ([np.nan, 1], [0, 1])],
)
def test_ranking_says_nothing_where_there_is_nothing_to_rank(certain, dice):
    assert ranking(np.array(certain, float), np.array(dice, float)) is None
