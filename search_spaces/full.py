"""Architecture, loss and optimiser together, composed of the files beside this one."""

import runpy
from pathlib import Path
from typing import Any

import optuna

_HERE = Path(__file__).parent
# Whole names: the sweep finds the files to keep with this one by them.
_PARTS = [
    runpy.run_path(str(_HERE / name))["space"] for name in ("architecture.py", "loss.py", "optimiser.py")
]


def space(trial: optuna.Trial) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for part in _PARTS:
        values |= part(trial)
    return values
