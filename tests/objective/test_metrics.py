import json

import numpy as np
import pytest
import torch

from unetpp.core.errors import InputError
from unetpp.models.output import ModelOutput
from unetpp.objective.metrics import SegmentationMetrics, image_scores

NAMES = {"binary": ["cell"], "multiclass": ["ground", "road", "roof"], "multilabel": ["a", "b", "c"]}


def naive_metrics(logits, mask, task):
    """Dice, IoU, precision, recall per class over all pixels, means over images, and accuracy, in numpy.

    An image's score is the mean over the classes that occur in its target or prediction.
    """
    classes = range(logits.shape[1])
    valid = mask != 255
    predicted = (
        logits.argmax(1)[:, None] == np.arange(len(classes))[:, None, None]
        if task == "multiclass"
        else logits > 0
    )
    indices = np.arange(len(classes))[:, None, None]
    true = {
        "binary": mask[:, None] == 1,
        "multiclass": mask[:, None] == indices,
        "multilabel": (mask[:, None] >> indices) & 1 == 1,
    }[task]
    pooled, right = [], 0
    by_image = [[] for _ in mask]
    for c in classes:
        p, y = predicted[:, c] & valid, true[:, c] & valid
        both = (p & y).sum()
        pooled.append((2 * both / (p.sum() + y.sum()), both / (p | y).sum(), both / p.sum(), both / y.sum()))
        for n in range(len(mask)):
            overlap, union = (p[n] & y[n]).sum(), (p[n] | y[n]).sum()
            if union:
                by_image[n].append((2 * overlap / (p[n].sum() + y[n].sum()), overlap / union))
        right += both if task == "multiclass" else ((p == y) & valid).sum()
    pixels = valid.sum() * (1 if task == "multiclass" else len(classes))
    macro = dict(zip(("dice", "iou", "precision", "recall"), np.mean(pooled, 0), strict=True))
    dice, iou = np.mean([np.mean(scores or [(1.0, 1.0)], 0) for scores in by_image], 0)
    return pooled, {
        **macro,
        "dice_per_image": dice,
        "iou_per_image": iou,
        "accuracy": right / pixels,
    }


def scored(batch, **options):
    metrics = SegmentationMetrics(batch.logits.shape[1], (1,), batch.task)
    metrics.update(ModelOutput((batch.logits.detach(),), None), batch.mask, **options)
    return metrics


@pytest.mark.parametrize("ignored", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(4))
def test_compute_random_batch_equals_naive_numpy(make_batch, task, ignored, seed):
    batch = make_batch(task, ignored=ignored, seed=seed)
    got = scored(batch).compute(NAMES[task])
    classes, expected = naive_metrics(batch.logits.detach().numpy(), batch.mask.numpy(), task)
    assert {name: got[name] for name in expected} == pytest.approx(expected)
    assert got["levels"] == {"1": {name: got[name] for name in expected}}
    for row, name, values in zip(got["classes"], NAMES[task], classes, strict=True):
        assert row["name"] == name
        assert [row[key] for key in ("dice", "iou", "precision", "recall")] == pytest.approx(list(values))


def test_compute_result_is_json(make_batch, task):
    result = scored(make_batch(task)).compute(NAMES[task])
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_compute_several_levels_headline_is_the_deepest(make_batch):
    batches = [make_batch("multiclass", seed=seed) for seed in range(3)]
    metrics = SegmentationMetrics(3, (1, 2, 4), "multiclass")
    metrics.update(ModelOutput(tuple(batch.logits for batch in batches), None), batches[0].mask)
    result = metrics.compute(NAMES["multiclass"])
    assert list(result["levels"]) == ["1", "2", "4"]
    for level, batch in zip(("1", "2", "4"), batches, strict=True):
        alone = scored(batch._replace(mask=batches[0].mask)).compute(NAMES["multiclass"])
        assert result["levels"][level] == alone["levels"]["1"]
    assert result["dice"] == result["levels"]["4"]["dice"]
    assert result["classes"] == alone["classes"]


@pytest.mark.parametrize("splits", [[1, 2], [1, 1, 1]])
def test_state_summed_over_workers_equals_one_pass(make_batch, task, splits):
    batch = make_batch(task, ignored=0.2)
    parts = zip(batch.logits.split(splits), batch.mask.split(splits), strict=True)
    total = sum(scored(batch._replace(logits=logits, mask=mask)).state() for logits, mask in parts)
    merged = SegmentationMetrics(batch.logits.shape[1], (1,), task)
    merged.load_state(total)
    whole = scored(batch)
    assert torch.equal(merged.counts, whole.counts)
    assert merged.images == whole.images == 3
    torch.testing.assert_close(merged.image_sums, whole.image_sums)


def test_state_large_counts_stay_exact():
    metrics = SegmentationMetrics(1, (1,), "binary")
    metrics.counts[0, 0, 0] = 2**53 - 1
    again = SegmentationMetrics(1, (1,), "binary")
    again.load_state(metrics.state())
    assert again.counts[0, 0, 0] == 2**53 - 1


def test_update_images_without_weight_or_without_valid_pixels_count_nowhere(make_batch, task):
    batch = make_batch(task)
    batch.mask[1] = 255
    got = scored(batch, weight=torch.tensor([True, True, False]))
    alone = scored(batch._replace(logits=batch.logits[:1], mask=batch.mask[:1]))
    assert got.images == 1
    assert torch.equal(got.state(), alone.state())


def test_compute_class_that_never_occurs_is_left_out():
    mask = torch.tensor([[[0, 0, 1, 1]]], dtype=torch.uint8)
    logits = torch.tensor([[5.0, 5, 0, 5], [0, 0, 5, 0], [-9, -9, -9, -9]]).view(1, 3, 1, 4)
    metrics = SegmentationMetrics(3, (1,), "multiclass")
    metrics.update(ModelOutput((logits,), None), mask)
    result = metrics.compute(NAMES["multiclass"])
    assert result["classes"][2] == {
        "name": "roof",
        "dice": None,
        "iou": None,
        "precision": None,
        "recall": None,
    }
    assert result["dice"] == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert result["dice_per_image"] == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert result["accuracy"] == 3 / 4


def test_compute_empty_masks_right_is_one_and_wrong_is_zero():
    empty = torch.zeros(2, 4, 4, dtype=torch.uint8)
    metrics = SegmentationMetrics(1, (1,), "binary")
    metrics.update(ModelOutput((torch.full((2, 1, 4, 4), -1.0),), None), empty)
    result = metrics.compute(["cell"])
    assert [result[key] for key in ("dice", "iou", "dice_per_image", "precision", "recall")] == [1.0] * 5
    metrics.update(ModelOutput((torch.full((2, 1, 4, 4), 1.0),), None), empty)
    result = metrics.compute(["cell"])
    assert (result["dice"], result["precision"], result["recall"]) == (0.0, 0.0, 0.0)
    assert result["dice_per_image"] == 0.5
    assert result["accuracy"] == 0.5


def test_compute_nothing_scored_raises():
    metrics = SegmentationMetrics(1, (1,), "binary")
    with pytest.raises(InputError, match="no image with a valid pixel was scored"):
        metrics.compute(["cell"])


def test_compute_rare_class_takes_no_credit_where_it_is_absent():
    # The second class is in one image of ten and never found.
    mask = torch.zeros(10, 2, 2, dtype=torch.uint8)
    mask[0] = 1
    logits = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1).expand(10, 3, 2, 2)
    metrics = SegmentationMetrics(3, (1,), "multiclass")
    scores = metrics.update(ModelOutput((logits,), None), mask)
    assert scores[0, :, 0].tolist() == [0.0] + [1.0] * 9
    assert metrics.compute(NAMES["multiclass"])["dice_per_image"] == 0.9


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
