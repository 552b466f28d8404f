"""Schedules rise, then fall to nothing; norms and biases are not decayed."""

import pytest
import torch
from torch import nn

from unetpp.config.learning_rate import lr_factor
from unetpp.config.sections.train import OptimConfig
from unetpp.models.unetpp import UNetPlusPlus
from unetpp.training.loop.optim import build_optimizer, build_schedule, rate_factors


@pytest.mark.parametrize("schedule", ["cosine", "poly", "constant"])
def test_lr_factor_warm_up_rises_to_one(schedule):
    config = OptimConfig(schedule=schedule, warmup=0.1)
    factors = [lr_factor(config, step, 100) for step in range(11)]
    assert factors == sorted(factors)
    assert 0 < factors[0] < 0.2
    assert factors[10] == 1.0


@pytest.mark.parametrize(("schedule", "last"), [("cosine", 0.0), ("poly", 0.0), ("constant", 1.0)])
def test_lr_factor_ends_where_the_schedule_says(schedule, last):
    config = OptimConfig(schedule=schedule)
    assert lr_factor(config, 100, 100) == pytest.approx(last, abs=1e-9)
    assert lr_factor(config, 1000, 100) == pytest.approx(last, abs=1e-9)


def test_lr_factor_poly_is_the_stated_power():
    assert lr_factor(OptimConfig(schedule="poly", warmup=0, poly_power=0.9), 50, 100) == pytest.approx(
        0.5**0.9
    )


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_optimizer_decays_weights_only(name):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    optimizer = build_optimizer(model, OptimConfig(name=name, weight_decay=0.5, lr=0.1))
    decayed = {id(p) for group in optimizer.param_groups if group["weight_decay"] for p in group["params"]}
    assert decayed == {id(model[0].weight)}
    model(torch.randn(2, 1, 5, 5)).sum().backward()
    optimizer.step()


def test_optimizer_teaches_the_encoder_slower_by_its_factor():
    model = UNetPlusPlus(1, 1, depth=1, width=2, encoder="lite0")
    config = OptimConfig(name="sgd", lr=0.1, encoder_lr_factor=0.2, schedule="constant", warmup=0.5)
    optimizer = build_optimizer(model, config)
    schedule = build_schedule(optimizer, config, total_steps=4)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        expected = 0.02 if name.startswith("encoder.") else 0.1
        assert rates[id(parameter)] == pytest.approx(expected / 3), name
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1 / 3)  # what the log calls lr
    for _ in range(2):
        optimizer.step()
        schedule.step()
    assert {round(group["lr"], 9) for group in optimizer.param_groups} == {0.1, 0.02}


def test_optimizer_without_an_encoder_has_the_two_groups_of_earlier_checkpoints():
    optimizer = build_optimizer(UNetPlusPlus(1, 1, depth=1, width=2), OptimConfig())
    assert [group["weight_decay"] > 0 for group in optimizer.param_groups] == [True, False]


@pytest.mark.parametrize(
    ("encoder", "names"),
    [
        (
            "none",
            {"nodes.0_0.conv1.weight": 0.04, "nodes.1_0.conv1.bias": 0.2, "nodes.2_0.norm1.weight": 1.0},
        ),
        (
            "lite0",
            {
                "encoder.stem.weight": 0.02,
                "encoder.rows.0.0.project.bias": 0.02,
                "encoder.rows.1.0.expand.weight": 0.1,
                "nodes.0_0.conv1.weight": 1.0,
            },
        ),
    ],
)
def test_rates_fall_from_row_to_row_towards_the_image(encoder, names):
    model = UNetPlusPlus(1, 1, depth=2, width=2, encoder=encoder)
    config = OptimConfig(encoder_lr_factor=0.1, layer_decay=0.2)
    factors = rate_factors([name for name, _ in model.named_parameters()], config)
    assert {name: pytest.approx(factors[name]) for name in names} == names
    assert {factors[name] for name in factors if name.startswith(("heads.", "nodes.0_1"))} == {1.0}
