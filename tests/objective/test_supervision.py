import pytest
import torch
from monai.losses import DiceCELoss

from unetpp.config.sections.loss import LossConfig
from unetpp.core.errors import ConfigError
from unetpp.models.output import ModelOutput
from unetpp.objective import build_objective, supervision
from unetpp.objective.supervision import level_weights

EVERYTHING = LossConfig(ce=0.5, dice=1, focal=0.4, tversky=0.3, boundary=0.2, image=0.7)


def test_level_weights_decay_from_deep_to_shallow():
    assert level_weights((1, 2, 3, 4), 0.5) == pytest.approx((1 / 15, 2 / 15, 4 / 15, 8 / 15))
    assert level_weights((1, 2, 3), 1.0) == pytest.approx((1 / 3,) * 3)
    assert level_weights((4,), 0.5) == (1.0,)


@pytest.mark.parametrize("decay", [1e-3, 0.1, 0.9])
def test_level_weights_any_decay_sum_to_one_and_none_is_zero(decay):
    weights = level_weights(range(1, 7), decay)
    assert sum(weights) == pytest.approx(1)
    assert min(weights) > 0


def test_objective_dice_and_ce_equals_monai(make_batch):
    logits, mask, task = make_batch("multiclass")
    objective = build_objective(LossConfig(ce=0.6, dice=0.9), task, (1,))
    loss = objective(ModelOutput((logits,), None), mask).mean()
    monai = DiceCELoss(
        softmax=True, to_onehot_y=True, smooth_nr=2, smooth_dr=2, lambda_dice=0.9, lambda_ce=0.6
    )
    reference = monai(logits, mask.unsqueeze(1).long())
    torch.testing.assert_close(loss, reference)
    torch.testing.assert_close(torch.autograd.grad(loss, logits), torch.autograd.grad(reference, logits))


def test_objective_levels_are_weighted(make_batch, task):
    batches = [make_batch(task, seed=seed) for seed in range(3)]
    mask = batches[0].mask
    config = LossConfig(level_decay=0.25)
    total = build_objective(config, task, (1, 2, 3))(
        ModelOutput(tuple(b.logits for b in batches), None), mask
    )
    one = build_objective(config, task, (1,))
    singles = [one(ModelOutput((batch.logits,), None), mask) for batch in batches]
    torch.testing.assert_close(total, (singles[0] + 4 * singles[1] + 16 * singles[2]) / 21)


def test_objective_terms_sum_to_the_loss_and_scale_with_their_weight(make_batch, task):
    logits, mask, _ = make_batch(task, ignored=0.2)
    output = ModelOutput((logits, logits * 0.5), torch.randn(3, 4))
    labels = torch.tensor([0, 3, -1])
    objective = build_objective(EVERYTHING, task, (1, 2))
    terms = objective.terms(output, mask, labels)
    assert list(terms) == ["ce", "dice", "focal", "tversky", "boundary", "image"]
    torch.testing.assert_close(sum(terms.values()), objective(output, mask, labels))
    doubled = LossConfig(**{name: 2 * getattr(EVERYTHING, name) for name in terms})
    for name, values in build_objective(doubled, task, (1, 2)).terms(output, mask, labels).items():
        torch.testing.assert_close(values, 2 * terms[name])


@pytest.mark.parametrize("splits", [[1, 2], [2, 1], [1, 1, 1]])
def test_objective_divided_over_workers_has_the_same_weighted_mean(make_batch, task, splits):
    logits, mask, _ = make_batch(task, ignored=0.3)
    image, labels = torch.randn(3, 2, requires_grad=True), torch.tensor([1, -1, 0])
    weights = torch.tensor([1.0, 0.0, 1.0])
    objective = build_objective(EVERYTHING, task, (1,))
    whole = (objective(ModelOutput((logits,), image), mask, labels) * weights).sum() / 2
    columns = [column.split(splits) for column in (logits, image, mask, labels, weights)]
    parts = [
        (objective(ModelOutput((part,), part_image), part_mask, part_labels) * part_weights).sum() / 2
        for part, part_image, part_mask, part_labels, part_weights in zip(*columns, strict=True)
    ]
    torch.testing.assert_close(sum(parts), whole)
    torch.testing.assert_close(
        torch.autograd.grad(sum(parts), (logits, image)), torch.autograd.grad(whole, (logits, image))
    )


def test_objective_image_loss_is_cross_entropy_of_known_labels(make_batch):
    logits, mask, task = make_batch("binary")
    image = torch.randn(3, 4)
    objective = build_objective(LossConfig(image=0.5), task, (1,))
    got = objective.terms(ModelOutput((logits,), image), mask, torch.tensor([2, -1, 0]))["image"]
    expected = -0.5 * image.log_softmax(1)
    torch.testing.assert_close(got, torch.stack([expected[0, 2], torch.zeros(()), expected[2, 0]]))


@pytest.mark.parametrize("labels", [None, torch.tensor([-1, -1, -1])])
def test_objective_no_image_label_known_gives_the_head_a_zero_gradient(make_batch, labels):
    logits, mask, task = make_batch("binary")
    image = torch.randn(3, 4, requires_grad=True)
    loss = build_objective(LossConfig(), task, (1,))(ModelOutput((logits,), image), mask, labels)
    assert torch.autograd.grad(loss.sum(), image)[0].abs().max() == 0


def test_objective_only_ignored_pixels_is_zero_and_finite(make_batch, task):
    logits, mask, _ = make_batch(task, ignored=2.0)
    loss = build_objective(EVERYTHING, task, (1,))(ModelOutput((logits,), None), mask)
    assert loss.tolist() == [0, 0, 0]
    assert torch.autograd.grad(loss.sum(), logits)[0].isfinite().all()


def test_build_objective_no_pixel_term_raises():
    with pytest.raises(ConfigError, match=r"one of ce, dice, .* must be above 0; set loss.dice=1"):
        build_objective(LossConfig(ce=0, dice=0, image=1), "binary", (1,))


def test_what_levels_are_compared_with_is_computed_once_for_a_batch(make_batch, monkeypatch):
    logits, mask, task = make_batch("multiclass")
    calls = []
    for name in ("weigh_pixels", "centre_lines", "distance_map"):
        whole = getattr(supervision, name)
        monkeypatch.setattr(supervision, name, lambda *a, n=name, f=whole, **k: calls.append(n) or f(*a, **k))
    weights = (1.0,) * logits.shape[1]
    config = LossConfig(ce=1, focal=1, cldice=1, boundary=1, class_weights=weights)
    build_objective(config, task, (1, 2, 3))(ModelOutput((logits,) * 3, None), mask)
    assert sorted(calls) == ["centre_lines", "distance_map", "weigh_pixels"]
