"""Weights of the loss terms and of the supervised levels.

Only ratios of the weights matter to the optimum, so Dice stays at 1 and the others are relative to it.
Focal and Tversky move in steps that include 0, so that a trial can do without them.
"""

from typing import Any

import optuna


def space(trial: optuna.Trial) -> dict[str, Any]:
    focal = trial.suggest_float("loss.focal", 0.0, 1.0, step=0.25)
    tversky = trial.suggest_float("loss.tversky", 0.0, 1.0, step=0.25)
    values: dict[str, Any] = {
        "loss.dice": 1.0,
        "loss.ce": trial.suggest_float("loss.ce", 0.0, 2.0),
        "loss.focal": focal,
        "loss.tversky": tversky,
        "loss.level_decay": trial.suggest_categorical("loss.level_decay", [0.3, 0.5, 0.7, 1.0]),
    }
    if focal > 0:
        values["loss.focal_gamma"] = trial.suggest_float("loss.focal_gamma", 1.0, 3.0)
    if tversky > 0:
        alpha = trial.suggest_float("loss.tversky_alpha", 0.3, 0.7)
        values |= {"loss.tversky_alpha": alpha, "loss.tversky_beta": 1.0 - alpha}
    return values
