"""What early stopping and the sampler save: epochs until a sweep has a network of the same quality.

Runs the same space on the same data with every pair of sampler and scheduler, and counts the epochs, over
all trials in the order they ended, until some (trial, level) reached the target. The target is the lowest
best quality among the sweeps of a seed, so that all reach it. Prints the table of the README. What
`--work` holds already is not run again.

    python benchmarks/early_stopping.py --data data/dsb2018-64 --work build/early-stopping
"""

import argparse
import json
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

from common import markdown, unetpp

_SPACE = str(Path(__file__).parents[1] / "search_spaces" / "optimiser.py")
_SETTINGS = (
    "model.depth=2", "model.width=8", "data.batch_size=8", "tune.max_concurrent=2", "tune.grace_epochs=1",
    "tune.reduction_factor=3", "train.validate_every=1",
)  # fmt: skip
_SAMPLERS, _SCHEDULERS = ("random", "tpe"), ("none", "asha")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="packed dataset")
    parser.add_argument("--work", required=True, type=Path, help="folder for the sweeps")
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    settings = [
        *_SETTINGS, f"data.uri={arguments.data}", f"tune.trials={arguments.trials}",
        f"train.epochs={arguments.epochs}",
    ]  # fmt: skip

    pairs = list(product(_SAMPLERS, _SCHEDULERS))
    rows: dict[tuple[str, str], list[tuple[float, int, int]]] = {pair: [] for pair in pairs}
    for seed in range(arguments.seeds):
        curves = {
            (sampler, scheduler): _sweep(
                arguments.work / f"{sampler}-{scheduler}-{seed}",
                [*settings, f"tune.sampler={sampler}", f"tune.scheduler={scheduler}", f"tune.seed={seed}"],
            )
            for sampler, scheduler in pairs
        }
        target = min(max(curve) for curve in curves.values())
        for pair, curve in curves.items():
            reached = next(count for count, best in enumerate(curve, start=1) if best >= target)
            rows[pair].append((max(curve), len(curve), reached))
    header = ["sampler", "scheduler", "best val Dice", "epochs in all", "epochs to the same Dice"]
    print(markdown(header, [_row(pair, found) for pair, found in rows.items()]))


def _row(pair: tuple[str, str], found: list[tuple[float, int, int]]) -> list[Any]:
    best, epochs, reached = zip(*found, strict=True)
    return [*pair, fmean(best), f"{fmean(epochs):.0f}", f"{fmean(reached):.0f}"]


def _sweep(out: Path, overrides: list[str]) -> list[float]:
    """Best quality of the sweep after each epoch that some trial ended."""
    if not (out / "study.db").exists():
        unetpp("tune", _SPACE, f"out={out}", *overrides)
    epochs = [json.loads(line) for file in out.glob("trials/*/metrics.jsonl") for line in file.open()]
    best, curve = 0.0, []
    for epoch in sorted(epochs, key=lambda epoch: float(epoch["wall_time"])):
        best = max(best, *(level["dice"] for level in epoch["val"]["levels"].values()))
        curve.append(best)
    return curve


if __name__ == "__main__":
    main()
