"""Shape of the nested network: depth, width, skips, normalisation and dilation per level.

Dilation is searched on the two deepest of the levels above the bottleneck and on the bottleneck itself:
shallower levels see fine structure, which a dilated stencil samples with gaps.
"""

from typing import Any

import optuna


def space(trial: optuna.Trial) -> dict[str, Any]:
    depth = trial.suggest_int("model.depth", 2, 5)
    return {
        "model.depth": depth,
        "model.width": trial.suggest_categorical("model.width", [8, 16, 24, 32, 48, 64]),
        "model.dense": trial.suggest_categorical("model.dense", ["unet", "plus", "pp"]),
        "model.norm": trial.suggest_categorical("model.norm", ["batch", "group", "instance"]),
        "model.deep_supervision": trial.suggest_categorical("model.deep_supervision", [True, False]),
        "model.dilation": [
            _dilation(trial, level) if level >= depth - 2 else 1 for level in range(depth + 1)
        ],
    }


def _dilation(trial: optuna.Trial, level: int) -> int:
    return trial.suggest_categorical(f"model.dilation.{level}", [1, 2, 4])
