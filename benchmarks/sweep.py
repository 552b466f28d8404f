"""A sweep over depth, dilation and loss on nuclei: 16 trials, two at a time, ASHA, against the default.

Runs the sweep unless `--work` holds it already, scores the best (trial, level) and the default
configuration on the test split, writes the picture of Dice against latency, and prints the README's table.

    python benchmarks/sweep.py --data data/dsb2018-96 --work build/sweep --picture pareto.svg
"""

import argparse
import json
from pathlib import Path
from typing import Any

from common import markdown, unetpp

from unetpp.core.places import trial_uri
from unetpp.report.numbers import count_text, duration_text
from unetpp.report.sweep.data import SweepData, load_sweep_data
from unetpp.report.sweep.figures import pareto_svg
from unetpp.tuning.folder import load_sweep
from unetpp.tuning.results.leaderboard import LeaderRow, trial_counts
from unetpp.tuning.results.pareto import pareto_front

SPACE = str(Path(__file__).parents[1] / "search_spaces" / "depth_dilation_loss.py")
SETTINGS = (
    "model.depth=3", "model.width=16", "data.batch_size=8", "optim.lr=0.002", "train.epochs=12",
    "tune.trials=16", "tune.max_concurrent=2", "tune.grace_epochs=3", "tune.reduction_factor=2",
)  # fmt: skip
_SHOWN_ROWS = 5


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="packed dataset with a test split")
    parser.add_argument("--work", required=True, help="the sweep's folder or URI")
    parser.add_argument("--picture", type=Path, required=True, help="SVG file to write")
    arguments = parser.parse_args()
    if not (Path(arguments.work) / "study.db").exists():
        unetpp("tune", SPACE, f"data.uri={arguments.data}", f"out={arguments.work}", *SETTINGS)
    sweep = load_sweep_data(arguments.work)

    arguments.picture.parent.mkdir(parents=True, exist_ok=True)
    # A picture by itself has no page to take its text's colour from.
    svg = pareto_svg(sweep.rows, "latency", "val Dice").replace("currentColor", "#777777")
    arguments.picture.write_text(svg)

    default = _default(sweep)
    # Trials of one architecture differ in latency by noise alone; in parameters they do not.
    front = pareto_front(sweep.rows, ("quality", "params"))
    shown = {_key(row): row for row in [*sweep.rows[:_SHOWN_ROWS], *front, default]}
    ordered = sorted(shown.values(), key=lambda row: -row.quality)
    tested = {_key(row): _test_dice(sweep, row) for row in (ordered[0], default)}
    header = ["trial", "level", "state", "val Dice", "test Dice", "time per image", "parameters", "settings"]
    names = {_key(row): "front" for row in front} | {_key(default): "default", _key(ordered[0]): "best"}
    print(markdown(header, [_row(row, names.get(_key(row)), tested.get(_key(row))) for row in ordered]))
    counts = trial_counts(load_sweep(arguments.work)[1])
    epochs = sum(trial.epochs for trial in sweep.trials)
    assert sweep.started is not None
    assert sweep.ended is not None
    wall = duration_text((sweep.ended - sweep.started).total_seconds())
    print(f"{counts}; {epochs} of {len(sweep.trials) * sweep.config.train.epochs} epochs; {wall}")


def _key(row: LeaderRow) -> tuple[int, int]:
    return row.trial, row.level


def _default(sweep: SweepData) -> LeaderRow:
    number = next(trial.number for trial in sweep.trials if trial.is_default)
    return next(row for row in sweep.rows if row.trial == number)


def _row(row: LeaderRow, name: str | None, test_dice: float | None) -> list[Any]:
    settings = " ".join(
        f"{name.removeprefix('model.').removeprefix('loss.')}={value:.3g}"
        for name, value in sorted(row.settings.items())
    )
    number, test = f"{row.trial} ({name})" if name else row.trial, "" if test_dice is None else test_dice
    return [
        number, row.level, row.state.lower(), row.quality, test, duration_text(row.latency_s),
        count_text(row.params), settings,
    ]  # fmt: skip


def _test_dice(sweep: SweepData, row: LeaderRow) -> float:
    run = trial_uri(sweep.uri, row.trial)
    kept = Path(run) / "evaluations" / "test.json"
    if not kept.exists():
        unetpp("evaluate", run, "--split", "test")
    return float(json.loads(kept.read_text())["levels"][str(row.level)]["dice"])


if __name__ == "__main__":
    main()
