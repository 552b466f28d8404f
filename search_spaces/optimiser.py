"""Optimiser and learning-rate schedule; each optimiser has the range of learning rates that suits it."""

from typing import Any

import optuna


def space(trial: optuna.Trial) -> dict[str, Any]:
    name = trial.suggest_categorical("optim.name", ["adamw", "sgd"])
    low, high = (1e-4, 3e-3) if name == "adamw" else (1e-3, 1e-1)
    return {
        "optim.name": name,
        "optim.lr": trial.suggest_float(f"optim.lr.{name}", low, high, log=True),
        "optim.weight_decay": trial.suggest_float("optim.weight_decay", 1e-6, 1e-2, log=True),
        "optim.schedule": trial.suggest_categorical("optim.schedule", ["cosine", "poly"]),
        "optim.warmup": trial.suggest_float("optim.warmup", 0.0, 0.1),
    }
