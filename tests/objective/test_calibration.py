"""Calibration against bins filled by hand."""

import numpy as np
import pytest
import torch

from unetpp.objective.calibration import BINS, Calibration


def _by_hand(chances: np.ndarray, right: np.ndarray) -> float:
    error = 0.0
    for low, high in zip(np.arange(BINS) / BINS, np.arange(1, BINS + 1) / BINS, strict=True):
        inside = (chances >= low) & (chances < high)
        if inside.any():
            error += inside.mean() * abs(chances[inside].mean() - right[inside].mean())
    return error


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_calibration_over_batches_equals_bins_by_hand(task):
    torch.manual_seed(0)
    classes = 1 if task == "binary" else 3
    logits = 2 * torch.randn(4, classes, 9, 7)
    mask = torch.randint(0, 2 if task == "binary" else 3, (4, 9, 7)).byte()
    mask[:, 0] = 255
    measured = Calibration(task)
    for part in ((logits[:1], mask[:1]), (logits[1:], mask[1:])):
        measured.update(*part)
    counted = (mask != 255).numpy()
    if task == "multiclass":
        largest, found = (each.numpy() for each in logits.softmax(1).max(1))
        chances, right = largest[counted], (found == mask.numpy())[counted]
    else:
        chances = logits.sigmoid().numpy().transpose(1, 0, 2, 3)[:, counted].ravel()
        bits = [mask.numpy() >> k & 1 for k in range(classes)]
        right = np.stack(bits)[:, counted].ravel()
    result = measured.compute()
    assert result["ece"] == pytest.approx(_by_hand(chances, right), abs=1e-6)
    assert sum(entry["share"] for entry in result["bins"]) == pytest.approx(1)


def test_calibration_of_honest_probabilities_is_small_and_of_certain_errors_is_one():
    chances = torch.rand(1, 1, 400, 400, generator=torch.Generator().manual_seed(0))
    mask = (torch.rand(1, 400, 400, generator=torch.Generator().manual_seed(1)) < chances[:, 0]).byte()
    honest, wrong = Calibration("binary"), Calibration("binary")
    honest.update(chances.logit(), mask)
    assert honest.compute()["ece"] < 0.01
    wrong.update(torch.full((1, 1, 2, 2), 50.0), torch.zeros(1, 2, 2, dtype=torch.uint8))
    assert wrong.compute()["ece"] == 1
    assert Calibration("binary").compute() is None
