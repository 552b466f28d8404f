"""Two knobs, small networks: shows in seconds that a sweep works."""

from typing import Any

import optuna


def space(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "model.width": trial.suggest_categorical("model.width", [4, 8]),
        "optim.lr": trial.suggest_float("optim.lr", 1e-4, 1e-2, log=True),
    }
