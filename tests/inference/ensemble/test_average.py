"""Means of predictions against probabilities averaged by hand."""

import pytest
import torch

from unetpp.inference.ensemble.average import average_logits, average_outputs
from unetpp.models.output import ModelOutput


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_average_logits_have_the_mean_of_the_probabilities(task):
    logits = [torch.randn(2, 3, 5, 4) * 4 for _ in range(3)]
    chances = (lambda z: z.softmax(1)) if task == "multiclass" else torch.sigmoid
    expected = torch.stack([chances(each) for each in logits]).mean(0)
    torch.testing.assert_close(chances(average_logits(logits, task)), expected)


def test_average_of_one_is_that_one():
    logits = torch.randn(1, 2, 3, 3)
    assert average_logits([logits], "multiclass") is logits


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_average_of_certain_predictions_stays_finite_and_certain(task):
    certain = torch.tensor([200.0, -200.0]).view(1, 2, 1, 1)
    mean = average_logits([certain, certain], task)
    assert mean.isfinite().all()
    assert mean[0, 0] > 60 + mean[0, 1]


def test_average_outputs_averages_image_classes_where_there_are_any():
    outputs = [ModelOutput((torch.randn(1, 1, 2, 2),) * 2, torch.randn(1, 4)) for _ in range(2)]
    mean = average_outputs(outputs, "binary")
    assert len(mean.levels) == 2
    expected = torch.stack([each.image.softmax(1) for each in outputs]).mean(0)
    torch.testing.assert_close(mean.image.softmax(1), expected)
    assert average_outputs([ModelOutput(each.levels, None) for each in outputs], "binary").image is None
