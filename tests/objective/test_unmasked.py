"""An image of which no pixel counts teaches nothing about masks, whatever the loss."""

import pytest
import torch

from unetpp.config.sections.loss import PIXEL_TERMS, LossConfig
from unetpp.core.manifest import IGNORE
from unetpp.objective.supervision import build_objective


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
@pytest.mark.parametrize("term", PIXEL_TERMS)
def test_pixel_loss_of_an_image_without_a_mask_has_no_gradient(term, task):
    weights = dict.fromkeys(PIXEL_TERMS, 0.0) | {term: 1.0}
    objective = build_objective(LossConfig.model_validate(weights), task, [1])
    channels = 1 if task == "binary" else 3
    logits = torch.randn(2, channels, 8, 8, requires_grad=True)
    masks = torch.full((2, 8, 8), IGNORE, dtype=torch.uint8)
    masks[0] = torch.randint(0, 2, (8, 8))
    losses = objective(((logits,), None), masks)
    losses.sum().backward()
    assert losses.isfinite().all()
    assert logits.grad is not None
    assert (logits.grad[1] == 0).all()
    assert (logits.grad[0] != 0).any()
