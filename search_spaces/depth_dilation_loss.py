"""Depth, dilation per level and weighting of the loss; width and everything else stay as configured.

The space to start from when the size of the network is given by the time or the device there is.
"""

import runpy
from pathlib import Path
from typing import Any

import optuna

_LOSS = runpy.run_path(str(Path(__file__).parent / "loss.py"))["space"]


def space(trial: optuna.Trial) -> dict[str, Any]:
    depth = trial.suggest_int("model.depth", 2, 4)
    # Dilated stencils sample fine structure with gaps, so the two shallowest levels stay dense.
    dilation = [_dilation(trial, level) if level >= 2 else 1 for level in range(depth + 1)]
    return {"model.depth": depth, "model.dilation": dilation, **_LOSS(trial)}


def _dilation(trial: optuna.Trial, level: int) -> int:
    return trial.suggest_categorical(f"model.dilation.{level}", [1, 2, 4])
