"""Two knobs, small networks: shows in seconds that a sweep works.

The default width, 32, is no choice here because it would take most of the time; with model.width=8 the base
configuration is one of the networks and becomes the first trial.
"""

from typing import Any

import optuna


def space(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "model.width": trial.suggest_categorical("model.width", [4, 8]),
        "optim.lr": trial.suggest_float("optim.lr", 1e-4, 1e-2, log=True),
    }
