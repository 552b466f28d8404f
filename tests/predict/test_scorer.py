"""Per-image scores and the choice of examples."""

import pytest
import torch

from unetpp.predict.examples import Examples
from unetpp.predict.scorer import image_scores


def test_image_scores_average_only_classes_that_occur():
    # tp fp fn tn: class 0 right, class 1 half found, class 2 absent
    counts = torch.tensor([[[4, 0, 0, 6], [2, 0, 2, 6], [0, 0, 0, 10]]])
    dice, iou = image_scores(counts)[0].tolist()
    assert dice == pytest.approx((1 + 4 / 6) / 2)
    assert iou == pytest.approx((1 + 0.5) / 2)


def test_image_scores_empty_truth_and_prediction_is_one_and_no_valid_pixel_is_nan():
    scores = image_scores(torch.tensor([[[0, 0, 0, 9]], [[0, 0, 0, 0]]]))
    assert scores[0].tolist() == [1, 1]
    assert scores[1].isnan().all()


def test_examples_keep_extremes_and_draw_only_what_is_kept():
    drawn: list[int] = []
    examples = Examples(keep=2)
    for index, dice in enumerate([0.5, 0.9, 0.1, 0.95, 0.4, 0.45, 0.05]):
        examples.offer(f"s{index}", dice, 1, lambda index=index: bytes([drawn.append(index) or index]))
    assert [e.dice for e in examples.best()] == [0.95, 0.9]
    assert [e.dice for e in examples.worst()] == [0.05, 0.1]
    assert 5 not in drawn


def test_examples_equal_scores_prefer_foreground():
    examples = Examples(keep=1)
    for name, foreground_px in (("empty", 0), ("full", 50), ("small", 3)):
        examples.offer(name, 1.0, foreground_px, lambda: b"")
    assert [e.sample_id for e in examples.best()] == ["full"]
