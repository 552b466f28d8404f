"""Early stopping on recorded sweeps: what each rule would have trained, and what it would have found.

Replays trials that were all trained to the end, one after another in many random orders, through each rule of
`tune.scheduler`, and prints the share of their epochs that it trains, the best validation Dice that it ends
with, what that lacks to the best of all, and in how many orders it ends with the best trial. Give
sweeps of `tune.scheduler=none`, such as those of `early_stopping.py` or `in_process.py`, or folders of runs.

    python benchmarks/stopping_rules.py build/early-stopping/random-none-0 build/early-stopping/tpe-none-0
"""

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean

from common import markdown

from unetpp.config import TuneConfig
from unetpp.config.sections.train import TrainConfig
from unetpp.config.sections.tune import SchedulerName
from unetpp.tuning.stopping import build_rule
from unetpp.tuning.study.epochs import EpochRecord, kept_levels
from unetpp.tuning.study.levels import LevelResult, headline

_RULES: tuple[SchedulerName, ...] = ("none", "asha", "median", "curves")

Trial = dict[int, list[LevelResult]]
"""Results of every network by epoch; none where it was not validated."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sweeps", nargs="+", type=Path, help="folders of sweeps or of runs")
    parser.add_argument("--orders", type=int, default=50)
    parser.add_argument("--grace", type=int, default=1)
    parser.add_argument("--factor", type=int, default=3)
    arguments = parser.parse_args()
    sweeps = [list(_trials(folder)) for folder in arguments.sweeps]
    rows = []
    for name in _RULES:
        tune = TuneConfig(scheduler=name, grace_epochs=arguments.grace, reduction_factor=arguments.factor)
        ends = [
            _replayed(tune, random.Random(order).sample(trials, len(trials)))
            for trials in sweeps
            for order in range(arguments.orders)
        ]
        share, best, lacking = (fmean(values) for values in zip(*ends, strict=True))
        found = sum(end[2] == 0 for end in ends)
        rows.append([name, f"{share:.0%}", best, lacking, f"{found} of {len(ends)}"])
    header = ["rule", "epochs trained", "best val Dice", "less than the best of all", "best trial found"]
    print(markdown(header, rows))


def _trials(folder: Path) -> Iterator[Trial]:
    for file in sorted(folder.glob("**/metrics.jsonl")):
        yield {
            int(epoch["epoch"]): [
                LevelResult(int(level), float(values["dice"]), float(values["latency_s"]), 0, 0)
                for level, values in epoch.get("val", {"levels": {}})["levels"].items()
            ]
            for epoch in map(json.loads, file.read_text().splitlines())
        }


def _replayed(tune: TuneConfig, trials: Sequence[Trial]) -> tuple[float, float, float]:
    """Share of the epochs, the best quality of what was trained, and what it lacks to the best of all."""
    last = max(max(trial) for trial in trials)
    rule = build_rule(tune, TrainConfig(epochs=last))
    trained, best = 0, 0.0
    for number, trial in enumerate(trials):
        seen: dict[int, EpochRecord] = {}
        for epoch, levels in trial.items():
            seen[epoch] = EpochRecord(levels)
            if levels and rule.decide(number, epoch, levels) == "stop":
                break
        trained, best = trained + len(seen), max(best, _quality(seen))
    of_all = max(
        _quality({epoch: EpochRecord(levels) for epoch, levels in trial.items()}) for trial in trials
    )
    return trained / sum(map(len, trials)), best, of_all - best


def _quality(records: dict[int, EpochRecord]) -> float:
    """Of the checkpoint that a run keeps."""
    return headline(kept_levels(records)).quality


if __name__ == "__main__":
    main()
