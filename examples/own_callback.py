"""An own callback: write the scores of every epoch to a CSV file, and stop once they are good enough.

    python examples/own_callback.py

`unetpp.Callback` lists all events, those of a sweep's trials too. A callback that fails is logged with its
traceback and not called again; the training goes on.
"""

import csv
import tempfile
from pathlib import Path
from typing import Any

import unetpp
from unetpp.data.synthetic import make_cells

ENOUGH = 0.75


class ScoresToCsv(unetpp.Callback):
    """One line an epoch: epoch, loss, validation Dice of the deepest level."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def on_train_start(self, epochs: int, first_epoch: int) -> None:
        print(f"epochs {first_epoch + 1} to {epochs}, scores in {self.file}")

    def on_epoch(self, metrics: dict[str, Any]) -> None:
        levels = metrics["val"]["levels"]
        dice = levels[max(levels)]["dice"]
        with self.file.open("a", newline="") as file:
            csv.writer(file).writerow([metrics["epoch"], metrics["loss"], dice])
        print(f"epoch {metrics['epoch']}: Dice {dice:.3f}")
        if dice >= ENOUGH:
            self.stop()  # as Ctrl-C would: a checkpoint is written, and the run can be resumed


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="unetpp-own-callback-"))
    make_cells(folder / "cells", count=40, size_px=64, seed=0)
    unetpp.pack(folder / "cells/images", folder / "cells/masks", folder / "dataset", val=0.2, test=0.2)
    run = unetpp.train(
        folder / "dataset",
        out=folder / "run",
        overrides={"model.depth": 2, "model.width": 8, "train.epochs": 10, "optim.lr": 0.01},
        callbacks=[ScoresToCsv(folder / "scores.csv")],
    )
    print(f"stopped after {run.epochs} epochs" if not run.finished else "never good enough")
    print((folder / "scores.csv").read_text())


if __name__ == "__main__":
    main()
