"""One-shot depth: the levels of one deep-supervised training against training every depth by itself.

For each seed, trains a UNet++ of the largest depth with deep supervision, and one network of every depth
without, all for the same number of epochs and with the same settings; scores the best epoch of each on
the test split. Prints Dice per level, training seconds and the seconds saved. What `--work` holds
already is not run again.

    python benchmarks/one_shot_depth.py --data data/dsb2018-96 --work build/one-shot
"""

import argparse
import json
from pathlib import Path
from statistics import fmean
from typing import Any

from common import markdown, unetpp

_DEPTHS = (1, 2, 3, 4)
_SETTINGS = ("model.width=8", "data.batch_size=8", "optim.lr=0.003")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="packed dataset with a test split")
    parser.add_argument("--work", required=True, type=Path, help="folder for the runs")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--distill", type=float, default=0, help="loss.distill of the shared training")
    arguments = parser.parse_args()
    settings = [f"data.uri={arguments.data}", f"train.epochs={arguments.epochs}", *_SETTINGS]

    shared, alone = [], []
    for seed in range(arguments.seeds):
        folder: Path = arguments.work / f"seed{seed}"
        seeded = [*settings, f"train.seed={seed}", f"data.seed={seed}"]
        deepest = f"model.depth={max(_DEPTHS)}"
        distill = arguments.distill
        name = f"shared-distill{distill:g}" if distill else "shared"
        fields = [deepest, "model.deep_supervision=true", f"loss.distill={distill:g}"]
        shared.append(_run(folder / name, [*seeded, *fields]))
        alone.append(
            {
                depth: _run(
                    folder / f"depth{depth}",
                    [*seeded, f"model.depth={depth}", "model.deep_supervision=false"],
                )
                for depth in _DEPTHS
            }
        )
    print(markdown(*_levels_table(shared, alone)))
    one = fmean(run["train_s"] for run in shared)
    every = fmean(sum(run["train_s"] for run in runs.values()) for runs in alone)
    print(
        f"training seconds, mean of {arguments.seeds} seed(s): shared {one:.0f}, every depth by itself "
        f"{every:.0f}; ratio {every / one:.2f}"
    )


def _levels_table(
    shared: list[dict[str, Any]], alone: list[dict[int, dict[str, Any]]]
) -> tuple[list[str], list[list[str]]]:
    header = ["depth", "level of the shared training", "trained by itself", "difference", "by itself, s"]
    rows = []
    for depth in _DEPTHS:
        level = [run["levels"][str(depth)] for run in shared]
        own = [runs[depth]["levels"][str(depth)] for runs in alone]
        seconds = fmean(runs[depth]["train_s"] for runs in alone)
        difference = fmean(level) - fmean(own)
        rows.append([str(depth), _spread(level), _spread(own), f"{difference:+.4f}", f"{seconds:.0f}"])
    return header, rows


def _spread(values: list[float]) -> str:
    spread = f" ({min(values):.4f} to {max(values):.4f})" if len(values) > 1 else ""
    return f"{fmean(values):.4f}{spread}"


def _run(out: Path, overrides: list[str]) -> dict[str, Any]:
    """Test Dice per level of the best epoch, and seconds in training steps."""
    if not (out / "result.json").exists():
        unetpp("train", f"out={out}", *overrides)
    if not (out / "evaluations" / "test.json").exists():
        unetpp("evaluate", str(out), "--split", "test")
    scores = json.loads((out / "evaluations" / "test.json").read_text())
    epochs = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return {
        "levels": {level: float(values["dice"]) for level, values in scores["levels"].items()},
        "train_s": sum(epoch["train_seconds"] for epoch in epochs),
    }


if __name__ == "__main__":
    main()
