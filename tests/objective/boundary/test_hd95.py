import math

import numpy as np
import pytest
import torch

from unetpp.objective.boundary.hd95 import hausdorff95


def naive_hausdorff95(predicted, true):
    """Border pixels found one by one, all pairs of distances."""

    def border(region):
        padded = np.pad(region, 1)
        points = []
        for point in np.argwhere(region):
            around = [
                np.eye(region.ndim, dtype=int)[axis] * sign for axis in range(region.ndim) for sign in (1, -1)
            ]
            if not all(padded[tuple(point + 1 + step)] for step in around):
                points.append(point)
        return np.array(points)

    a, b = border(predicted), border(true)
    distances = np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1))
    return max(np.percentile(distances.min(1), 95), np.percentile(distances.min(0), 95))


@pytest.mark.parametrize("size", [(13, 9), (5, 6, 7)])
def test_hausdorff95_random_regions_equal_all_pairs(make_batch, task, size):
    batch = make_batch(task, size=size)
    got = hausdorff95(batch.logits.detach(), batch.mask, task)
    logits, mask = batch.logits.detach().numpy(), batch.mask.numpy()
    for n in range(3):
        for c in range(logits.shape[1]):
            predicted = logits[n].argmax(0) == c if task == "multiclass" else logits[n, c] > 0
            true = (
                mask[n] >> c & 1 == 1 if task == "multilabel" else mask[n] == (1 if task == "binary" else c)
            )
            assert got[n, c].item() == pytest.approx(naive_hausdorff95(predicted, true), abs=1e-4)


def test_hausdorff95_shifted_square_is_the_shift():
    mask, shifted = torch.zeros(1, 32, 32, dtype=torch.uint8), torch.full((1, 1, 32, 32), -1.0)
    mask[:, 4:20, 8:16] = 1
    shifted[:, :, 4:20, 11:19] = 1
    assert hausdorff95(shifted, mask, "binary").tolist() == [[3.0]]


def test_hausdorff95_empty_side_is_nan():
    mask = torch.zeros(2, 4, 4, dtype=torch.uint8)
    mask[0, 1:3, 1:3] = 1
    got = hausdorff95(torch.full((2, 1, 4, 4), -1.0), mask, "binary")
    assert all(math.isnan(value) for value in got.flatten().tolist())
