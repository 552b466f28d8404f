"""Thresholds that were chosen on validation images and are kept with a run.

    thresholds.json   {step, levels: {level: [threshold of each class]}, split}

They belong to one checkpoint: those of another step are not used.
"""

import json
from collections.abc import Sequence

from unetpp.core.rundir import RunDir

__all__ = ["keep_thresholds", "kept_thresholds"]

_FILE = "thresholds.json"


def keep_thresholds(run: RunDir, step: int, level: int, thresholds: Sequence[float], split: str) -> None:
    """Write them; those of other levels of the same checkpoint stay."""
    levels = _levels(run, step) | {str(level): list(thresholds)}
    text = json.dumps({"step": step, "split": split, "levels": levels}, indent=1)
    run.storage.write(_FILE, text.encode())


def kept_thresholds(run: RunDir, step: int, level: int) -> tuple[float, ...]:
    """Those of a level of the checkpoint; empty if there are none."""
    return tuple(_levels(run, step).get(str(level), ()))


def _levels(run: RunDir, step: int) -> dict[str, list[float]]:
    if not run.storage.exists(_FILE):
        return {}
    kept = json.loads(run.storage.read(_FILE))
    levels: dict[str, list[float]] = kept["levels"] if kept["step"] == step else {}
    return levels
