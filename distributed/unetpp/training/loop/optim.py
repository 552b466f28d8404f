"""Optimisers and learning-rate schedules from configuration."""

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from unetpp.compat.torch import Adam, AdamW
from unetpp.config.sections.train import OptimConfig

__all__ = ["TIME_STEPS", "build_optimizer", "build_schedule", "build_time_schedule", "lr_factor", "set_rates"]

TIME_STEPS = 1_000_000
"""Parts of the time of a run that goes by minutes, which its schedule takes for steps."""


def build_optimizer(model: nn.Module, config: OptimConfig) -> torch.optim.Optimizer:
    """Optimiser over all parameters; norms and biases are not decayed, a pretrained encoder learns slower."""
    named = list(model.named_parameters())
    groups = [
        {
            "params": [p for name, p in named if _is_encoder(name) == encoder and (p.ndim > 1) == decayed],
            "weight_decay": config.weight_decay if decayed else 0.0,
            "lr": config.lr * (config.encoder_lr_factor if encoder else 1.0),
        }
        for encoder in (False, True)
        for decayed in (True, False)
    ]
    groups = [group for group in groups if group["params"]]
    if config.name == "sgd":
        return torch.optim.SGD(
            groups, lr=config.lr, momentum=config.momentum, nesterov=config.momentum > 0, fused=True
        )
    kind = AdamW if config.name == "adamw" else Adam
    return kind(groups, lr=config.lr, fused=True)


def _is_encoder(name: str) -> bool:
    return name.startswith("encoder.")


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


def lr_factor(config: OptimConfig, step: int, total_steps: int) -> float:
    """Learning rate at a step relative to `optim.lr`: linear warm-up, then cosine, poly or constant."""
    warmup_steps = round(config.warmup * total_steps)
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    progress = min((step - warmup_steps) / max(total_steps - warmup_steps, 1), 1.0)
    if config.schedule == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * progress))
    if config.schedule == "poly":
        return float((1.0 - progress) ** config.poly_power)
    return 1.0
