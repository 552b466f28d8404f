"""Thresholds against every threshold tried."""

import numpy as np
import pytest
import torch

from unetpp.objective.thresholds import ThresholdSearch


def _dice(chances: np.ndarray, true: np.ndarray, threshold: float) -> float:
    found = chances >= threshold
    return 2 * (found & true).sum() / (found.sum() + true.sum())


@pytest.mark.parametrize("task", ["binary", "multilabel"])
def test_best_thresholds_reach_what_trying_all_of_them_reaches(task):
    generator = torch.Generator().manual_seed(0)
    labels = 1 if task == "binary" else 2
    mask = torch.randint(0, 2**labels, (3, 20, 20), generator=generator).byte()
    bits = torch.stack([mask >> k & 1 for k in range(labels)], 1)
    logits = (
        bits * 2.0
        + torch.randn(bits.shape, generator=generator)
        - torch.tensor([0.5, 2.0])[:labels].view(1, -1, 1, 1)
    )
    mask[:, 0] = 255
    search = ThresholdSearch(labels, task)
    for n in range(3):
        search.update(logits[n : n + 1], mask[n : n + 1])
    best = search.best()
    told = search.dice(best)
    for k in range(labels):
        chances, true = logits[:, k, 1:].sigmoid().numpy(), bits[:, k, 1:].numpy() == 1
        reached = _dice(chances, true, best[k])
        assert reached == pytest.approx(told[k], abs=1e-3)
        assert reached >= max(_dice(chances, true, t) for t in np.linspace(0.05, 0.95, 91)) - 1e-3


def test_threshold_of_a_label_without_pixels_is_one_half():
    search = ThresholdSearch(1, "binary")
    search.update(torch.randn(1, 1, 8, 8), torch.zeros(1, 8, 8, dtype=torch.uint8))
    assert search.best() == (0.5,)
