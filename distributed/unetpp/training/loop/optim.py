"""Optimisers and learning-rate schedules from configuration."""

import re
from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from unetpp.compat.torch import SGD, Adam, AdamW
from unetpp.config.learning_rate import lr_factor
from unetpp.config.sections.train import OptimConfig

__all__ = [
    "TIME_STEPS",
    "build_optimizer",
    "build_schedule",
    "build_time_schedule",
    "column_rows",
    "rate_factors",
    "set_rates",
]

_ENCODER_ROW = re.compile(r"encoder\.(?:rows\.(\d+)\.|stem\.)")
_OWN_ROW = re.compile(r"nodes\.(\d+)_0\.")
TIME_STEPS = 1_000_000
"""Parts of the time of a run that goes by minutes, which its schedule takes for steps."""


def build_optimizer(model: nn.Module, config: OptimConfig) -> torch.optim.Optimizer:
    """Optimiser over all parameters; norms and biases are not decayed, the first column may learn slower."""
    factors = rate_factors((name for name, _ in model.named_parameters()), config)
    kinds = {name: (factors[name], p.ndim > 1) for name, p in model.named_parameters()}
    # First those at the full rate: theirs is what a log calls the learning rate.
    order = sorted(set(kinds.values()), key=lambda kind: (kind[0] != 1, -kind[0], not kind[1]))
    groups = [
        {
            "params": [p for name, p in model.named_parameters() if kinds[name] == (factor, decayed)],
            "weight_decay": config.weight_decay if decayed else 0.0,
            "lr": factor * config.lr,
        }
        for factor, decayed in order
    ]
    if config.name == "sgd":
        return SGD(groups, lr=config.lr, momentum=config.momentum, nesterov=config.momentum > 0, fused=True)
    kind = AdamW if config.name == "adamw" else Adam
    return kind(groups, lr=config.lr, fused=True)


def build_schedule(optimizer: torch.optim.Optimizer, config: OptimConfig, total_steps: int) -> LambdaLR:
    """Schedule stepped once per optimiser step."""
    return LambdaLR(optimizer, lambda step: lr_factor(config, step, total_steps))


def build_time_schedule(
    optimizer: torch.optim.Optimizer, config: OptimConfig, time_step: Callable[[], int]
) -> LambdaLR:
    """Schedule of a run that goes by minutes: `time_step` tells which of `TIME_STEPS` parts is under way."""
    return LambdaLR(optimizer, lambda _: lr_factor(config, time_step(), TIME_STEPS))


def set_rates(schedule: LambdaLR) -> None:
    """Give the optimiser the learning rates of where the schedule stands now."""
    factors = [factor(schedule.last_epoch) for factor in schedule.lr_lambdas]
    for group, base, factor in zip(schedule.optimizer.param_groups, schedule.base_lrs, factors, strict=True):
        group["lr"] = base * factor


def column_rows(names: Iterable[str]) -> dict[str, int]:
    """The parameters of X[row][0], or of the encoder that stands in for it, with their rows.

    The stem that a network with an encoder has at full resolution is learned from scratch and not among them.
    """
    names = list(names)
    encoded = {name: int(found[1] or 0) for name in names if (found := _ENCODER_ROW.match(name))}
    return encoded or {name: int(found[1]) for name in names if (found := _OWN_ROW.match(name))}


def rate_factors(names: Iterable[str], config: OptimConfig) -> dict[str, float]:
    """Learning rate of each parameter relative to `optim.lr`."""
    names = list(names)
    rows = column_rows(names)
    deepest = max(rows.values(), default=0)
    factors = dict.fromkeys(names, 1.0)
    for name, row in rows.items():
        pretrained = config.encoder_lr_factor if name.startswith("encoder.") else 1.0
        factors[name] = pretrained * config.layer_decay ** (deepest - row)
    return factors
