"""What parts of a split accumulate, merged in its order, is what one pass over it does."""

import numpy as np
import pytest
import torch

from unetpp.models.output import ModelOutput
from unetpp.objective import offsets
from unetpp.objective.calibration import Calibration
from unetpp.objective.image_labels import ImageLabelMetrics
from unetpp.objective.instances import InstanceMetrics
from unetpp.objective.metrics import SegmentationMetrics
from unetpp.objective.offsets import OffsetSearch
from unetpp.objective.thresholds import ThresholdSearch

CLASSES = 3


def batch(seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, CLASSES, 40, 50, generator=generator)
    mask = torch.randint(0, CLASSES, (2, 40, 50), generator=generator).byte()
    return logits, mask


def add_pixels(metrics, seed):
    metrics.update(*batch(seed))


def add_scores(metrics, seed):
    logits, mask = batch(seed)
    metrics.update(ModelOutput((logits,), None), mask)


def add_labels(metrics, seed):
    logits = torch.randn(4, CLASSES, generator=torch.Generator().manual_seed(seed))
    metrics.update(ModelOutput((), logits), torch.tensor([0, 1, -1, 2]))


def add_objects(metrics, seed):
    generator = np.random.default_rng(seed)
    truth = np.kron(generator.integers(0, 9, (6, 6)), np.ones((5, 5))).astype(np.int32)
    metrics.update(truth, np.roll(truth, seed % 3, axis=1))


KINDS = {
    "scores": (
        lambda: SegmentationMetrics(CLASSES, [1], "multiclass"),
        add_scores,
        lambda m: m.compute("abc"),
    ),
    "labels": (lambda: ImageLabelMetrics(CLASSES), add_labels, lambda m: m.compute("abc")),
    "objects": (InstanceMetrics, add_objects, InstanceMetrics.compute),
    "calibration": (lambda: Calibration("multiclass"), add_pixels, Calibration.compute),
    "thresholds": (lambda: ThresholdSearch(CLASSES, "multilabel"), add_pixels, lambda m: m.dice(m.best())),
    "offsets": (lambda: OffsetSearch(CLASSES), add_pixels, lambda m: (m.best(), m.dice((0.4, 0.5, 0.6)))),
}


@pytest.mark.parametrize("kind", KINDS)
def test_parts_merged_in_order_are_one_pass(kind, monkeypatch):
    monkeypatch.setattr(offsets, "_PIXELS", 9000)  # so that pixels are thinned out, twice
    new, add, result = KINDS[kind]
    whole, merged = new(), new()
    for seed in range(8):
        add(whole, seed)
        part = new()
        add(part, seed)
        merged.merge(part)
    assert result(merged) == result(whole)


def test_offsets_of_a_part_that_was_thinned_out_are_merged_at_its_spacing(monkeypatch):
    monkeypatch.setattr(offsets, "_PIXELS", 9000)
    merged, part = OffsetSearch(CLASSES), OffsetSearch(CLASSES)
    add_pixels(merged, 0)
    for seed in range(1, 8):
        add_pixels(part, seed)
    merged.merge(part)
    lengths = {len(truth) for truth in merged._truth}
    assert len(lengths) == 1
    assert sum(map(len, merged._truth)) <= 9000
