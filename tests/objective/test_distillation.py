"""Shallower heads learn from the deepest one, which does not learn from them."""

import pytest
import torch

from unetpp.config.sections.loss import LossConfig
from unetpp.models.output import ModelOutput
from unetpp.objective import build_objective
from unetpp.objective.distillation import distillation
from unetpp.objective.targets import encode_target


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_distillation_is_the_divergence_of_softened_probabilities(make_batch, task, temperature):
    logits, mask, _ = make_batch(task, ignored=0.2)
    teacher, softmax = make_batch(task, seed=1).logits, task == "multiclass"
    valid = encode_target(mask, task, logits.shape[1]).valid
    found = distillation(logits, teacher, valid, softmax=softmax, temperature=temperature)

    if softmax:
        known, own = ((x / temperature).softmax(1) for x in (teacher, logits))
        divergence = (known * (known / own).log()).sum(1, keepdim=True)
    else:
        known, own = ((x / temperature).sigmoid() for x in (teacher, logits))
        both = known * (known / own).log() + (1 - known) * ((1 - known) / (1 - own)).log()
        divergence = both.mean(1, keepdim=True)
    expected = (divergence * valid).sum((1, 2, 3)) / valid.sum((1, 2, 3)) * temperature**2
    torch.testing.assert_close(found, expected)


def test_distillation_teacher_gets_no_gradient_and_equals_have_none(make_batch, task):
    logits, mask, _ = make_batch(task)
    teacher = make_batch(task, seed=1).logits
    valid = encode_target(mask, task, logits.shape[1]).valid
    options = {"softmax": task == "multiclass", "temperature": 2.0}
    distillation(logits, teacher, valid, **options).sum().backward()
    assert teacher.grad is None
    assert logits.grad.abs().max() > 0
    equal = distillation(logits, logits, valid, **options)
    torch.testing.assert_close(equal, torch.zeros(3), atol=1e-6, rtol=0)
    torch.testing.assert_close(
        torch.autograd.grad(equal.sum(), logits)[0], torch.zeros_like(logits), atol=1e-7, rtol=0
    )


@pytest.mark.parametrize("temperature", [0.5, 8.0])
def test_distillation_gradient_size_does_not_fall_with_the_temperature(make_batch, temperature):
    logits, mask, _ = make_batch("binary")
    teacher = (logits + 0.01).detach()
    valid = encode_target(mask, "binary", 1).valid
    loss = distillation(logits * 1e-3, teacher * 1e-3, valid, softmax=False, temperature=temperature)
    one = distillation(logits * 1e-3, teacher * 1e-3, valid, softmax=False, temperature=1.0)
    torch.testing.assert_close(
        torch.autograd.grad(loss.sum(), logits)[0],
        torch.autograd.grad(one.sum(), logits)[0],
        rtol=1e-3,
        atol=1e-9,
    )


def test_objective_distill_is_a_weighted_term_of_all_levels_but_the_deepest(make_batch, task):
    batches = [make_batch(task, seed=seed, ignored=0.2) for seed in range(3)]
    mask, levels = batches[0].mask, tuple(batch.logits for batch in batches)
    config = LossConfig(distill=0.7, distill_temperature=3, level_decay=0.5)
    terms = build_objective(config, task, (1, 2, 3)).terms(ModelOutput(levels, None), mask, None)
    valid = encode_target(mask, task, levels[0].shape[1]).valid
    shallow, middle = (
        distillation(logits, levels[-1], valid, softmax=task == "multiclass", temperature=3)
        for logits in levels[:-1]
    )
    assert list(terms) == ["ce", "dice", "distill"]
    torch.testing.assert_close(terms["distill"], 0.7 * (shallow + 2 * middle) / 7)


@pytest.mark.parametrize(("distill", "levels"), [(0.0, (1, 2)), (1.0, (2,))])
def test_objective_distill_off_or_without_a_teacher_is_no_term(make_batch, distill, levels):
    logits, mask, task = make_batch("binary")
    objective = build_objective(LossConfig(distill=distill), task, levels)
    terms = objective.terms(ModelOutput((logits,) * len(levels), None), mask, None)
    assert list(terms) == ["ce", "dice"]


def test_objective_distill_only_ignored_pixels_is_zero_and_finite(make_batch, task):
    logits, mask, _ = make_batch(task, ignored=2.0)
    objective = build_objective(LossConfig(ce=0, dice=1, distill=1), task, (1, 2))
    loss = objective(ModelOutput((logits, logits * 2), None), mask)
    assert loss.tolist() == [0, 0, 0]
    assert torch.autograd.grad(loss.sum(), logits)[0].isfinite().all()
