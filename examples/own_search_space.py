"""An own search space: this file is one, because it has a function `space(trial)`.

    python examples/own_search_space.py

The command line takes it as well: unetpp tune examples/own_search_space.py data.uri=dataset out=runs/sweep
"""

import tempfile
from pathlib import Path
from typing import Any

import optuna

import unetpp


def space(trial: optuna.Trial) -> dict[str, Any]:
    """Values by dotted field; `unetpp config` lists the fields. What follows may depend on what was drawn."""
    depth = trial.suggest_int("model.depth", 1, 2)
    drawn = {"model.depth": depth, "optim.lr": trial.suggest_float("optim.lr", 1e-3, 1e-2, log=True)}
    if depth > 1:
        drawn["model.dense"] = trial.suggest_categorical("model.dense", ["pp", "unet"])
    return drawn


def main() -> None:
    from unetpp.data.synthetic import make_cells

    folder = Path(tempfile.mkdtemp(prefix="unetpp-own-space-"))
    make_cells(folder / "cells", count=40, size_px=64, seed=0)
    unetpp.pack(folder / "cells/images", folder / "cells/masks", folder / "dataset", val=0.2, test=0.2)

    sweep = unetpp.tune(
        __file__,
        folder / "dataset",
        out=folder / "sweep",
        overrides={"tune.trials": 3, "train.epochs": 2, "model.width": 8, "scale.workers": 1},
        progress=True,
    )
    print(sweep)

    # Every depth that a trial contains is scored and timed; the best trial is a run like any other.
    if sweep.best is not None and sweep.best_run is not None:
        print(unetpp.evaluate(sweep.best_run, level=sweep.best["level"]))


if __name__ == "__main__":
    main()
