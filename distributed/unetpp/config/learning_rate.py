"""Learning-rate schedules as functions of the step."""

import math

from unetpp.config.sections.train import OptimConfig

__all__ = ["lr_factor"]


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
