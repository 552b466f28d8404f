"""Object scores against their definitions, computed pair by pair."""

import itertools

import numpy as np
import pytest

from unetpp.objective.instances import F1_THRESHOLDS, InstanceMetrics, overlaps_of


def objects(mask):
    return [mask == value for value in np.unique(mask) if value]


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


def best_matching(truths, found, threshold):
    """All one-to-one matchings tried: most matches first, then the highest sum of IoU."""
    table = [[iou(t, p) for p in found] for t in truths]
    best = (0, 0.0)
    size = min(len(truths), len(found))
    for count in range(1, size + 1):
        for rows in itertools.combinations(range(len(truths)), count):
            for columns in itertools.permutations(range(len(found)), count):
                values = [table[r][c] for r, c in zip(rows, columns, strict=True)]
                if all(value >= threshold for value in values):
                    best = max(best, (count, sum(values)))
    return best


def aggregated(truths, found):
    shared = union = 0
    used = set()
    for truth in truths:
        values = [iou(truth, p) for p in found]
        if not values or max(values) == 0:
            union += truth.sum()
            continue
        k = int(np.argmax(values))
        used.add(k)
        shared += (truth & found[k]).sum()
        union += (truth | found[k]).sum()
    union += sum(p.sum() for k, p in enumerate(found) if k not in used)
    return shared, union


def random_pair(seed):
    generator = np.random.default_rng(seed)
    truth = np.zeros((14, 16), np.int32)
    for k in range(generator.integers(0, 5)):
        top, left = generator.integers(0, 10, 2)
        truth[top : top + generator.integers(2, 7), left : left + generator.integers(2, 7)] = 5 * k + 2
    found = np.roll(truth, tuple(generator.integers(-1, 2, 2)), (0, 1)) * 3
    for k in range(generator.integers(0, 3)):
        top, left = generator.integers(0, 12, 2)
        found[top : top + 3, left : left + 4] = 100 + k if generator.random() < 0.7 else 0
    return truth, found


@pytest.mark.parametrize("seed", range(40))
def test_scores_are_those_of_their_definitions(seed):
    metrics = InstanceMetrics()
    matches = dict.fromkeys(F1_THRESHOLDS, 0)
    total = shared = union = 0
    matched_iou = 0.0
    for part in range(3):
        truth, found = random_pair(100 * seed + part)
        metrics.update(truth, found)
        truths, predictions = objects(truth), objects(found)
        total += len(truths) + len(predictions)
        for threshold in F1_THRESHOLDS:
            count, summed = best_matching(truths, predictions, threshold)
            matches[threshold] += count
            matched_iou += summed if threshold == 0.5 else 0
        part_shared, part_union = aggregated(truths, predictions)
        shared, union = shared + part_shared, union + part_union
    scores = metrics.compute()
    if not total:
        assert scores["pq"] is None
        return
    assert scores["f1"] == pytest.approx({f"{t:g}": 2 * n / total for t, n in matches.items()})
    assert scores["pq"] == pytest.approx(2 * matched_iou / total)
    assert scores["aji"] == pytest.approx(shared / union)


def test_perfect_objects_score_one_whatever_their_numbers():
    truth, _ = random_pair(3)
    metrics = InstanceMetrics()
    metrics.update(truth, np.where(truth, 1000 - truth, 0))
    scores = metrics.compute()
    assert set(scores["f1"].values()) == {1.0}
    assert (scores["pq"], scores["aji"]) == (1.0, 1.0)


@pytest.mark.parametrize(("truth", "found"), [(0, 0), (0, 1), (1, 0)])
def test_images_without_truth_or_without_prediction_count(truth, found):
    metrics = InstanceMetrics()
    metrics.update(np.full((3, 3), truth, np.int32), np.full((3, 3), found, np.int32))
    scores = metrics.compute()
    expected = None if truth == found else 0.0
    assert (scores["f1"]["0.5"], scores["pq"], scores["aji"]) == (expected,) * 3
    assert (scores["truths"], scores["predictions"]) == (truth, found)


def test_overlaps_count_every_pixel():
    truth, found = random_pair(3)
    overlaps = overlaps_of(truth, found)
    np.testing.assert_array_equal(
        overlaps.shared, [[(t & p).sum() for p in objects(found)] for t in objects(truth)]
    )
