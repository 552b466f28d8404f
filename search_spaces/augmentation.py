"""Strength of the random transforms of the training images."""

from typing import Any

import optuna


def space(trial: optuna.Trial) -> dict[str, Any]:
    largest_zoom = trial.suggest_float("augment.scale.1", 1.0, 1.5)
    return {
        "augment.flip": trial.suggest_categorical("augment.flip", [0.0, 0.5]),
        "augment.rotate_deg": trial.suggest_float("augment.rotate_deg", 0.0, 180.0),
        "augment.scale": [1.0 / largest_zoom, largest_zoom],
        "augment.affine": trial.suggest_float("augment.affine", 0.0, 1.0),
        "augment.colour": trial.suggest_float("augment.colour", 0.0, 0.4),
        "augment.noise": trial.suggest_float("augment.noise", 0.0, 0.1),
    }
