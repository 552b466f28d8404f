import numpy as np
import pytest
import torch

from unetpp.core.manifest import IGNORE
from unetpp.objective.counts import confusion_matrix, count_pixels


def naive_counts(logits, mask, task):
    """Pixel by pixel, class by class."""
    classes = logits.shape[1]
    counts = np.zeros((len(logits), classes, 4), dtype=np.int64)
    for n, *where in np.ndindex(mask.shape):
        value, scores = int(mask[(n, *where)]), logits[(n, slice(None), *where)]
        if value == IGNORE:
            continue
        for c in range(classes):
            predicted = scores.argmax() == c if task == "multiclass" else scores[c] > 0
            true = {"binary": value == 1, "multiclass": value == c, "multilabel": bool(value >> c & 1)}[task]
            counts[n, c, {(1, 1): 0, (1, 0): 1, (0, 1): 2, (0, 0): 3}[bool(predicted), bool(true)]] += 1
    return counts


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (3, 4, 5)])
@pytest.mark.parametrize("ignored", [0.0, 0.3, 2.0])
def test_count_pixels_any_batch_equals_naive_loop(make_batch, task, ignored, size):
    for seed in range(3):
        logits, mask, _ = make_batch(task, ignored=ignored, seed=seed, size=size)
        got = count_pixels(logits.detach(), mask, task)
        assert got.dtype == torch.int64
        assert np.array_equal(got.numpy(), naive_counts(logits.detach().numpy(), mask.numpy(), task))


def test_count_pixels_logit_zero_is_background():
    logits, mask = torch.zeros(1, 1, 2, 2), torch.ones(1, 2, 2, dtype=torch.uint8)
    assert count_pixels(logits, mask, "binary").tolist() == [[[0, 0, 4, 0]]]


@pytest.mark.parametrize("task_name", ["binary", "multiclass"])
def test_confusion_matrix_equals_naive_loop(make_batch, task_name):
    logits, mask, _ = make_batch(task_name, ignored=0.3)
    classes = 2 if task_name == "binary" else 3
    expected = np.zeros((classes, classes), dtype=np.int64)
    for n, h, w in np.ndindex(mask.shape):
        if mask[n, h, w] != IGNORE:
            scores = logits[n, :, h, w]
            expected[int(mask[n, h, w]), int(scores > 0) if classes == 2 else int(scores.argmax())] += 1
    got = confusion_matrix(logits.detach(), mask, classes)
    assert got.dtype == torch.int64
    assert np.array_equal(got.numpy(), expected)


def test_confusion_matrix_agrees_with_counts(make_batch):
    logits, mask, task = make_batch("multiclass", ignored=0.2)
    matrix = confusion_matrix(logits, mask, 3)
    tp, fp, fn, tn = count_pixels(logits, mask, task).sum(0).unbind(-1)
    assert torch.equal(matrix.diag(), tp)
    assert torch.equal(matrix.sum(0) - matrix.diag(), fp)
    assert torch.equal(matrix.sum(1) - matrix.diag(), fn)
    assert torch.equal(matrix.sum() - tp - fp - fn, tn)
