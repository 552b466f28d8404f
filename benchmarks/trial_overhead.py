"""What a sweep costs on top of its trainings: unetpp against bare Optuna and a plain loop.

Three times the same trials on the same dataset: one-worker trials two at a time, then the very same
configurations in two bare processes that share a study, then trials of two workers one at a time. Each
worker has one torch thread throughout. Prints the README's table.

    python benchmarks/trial_overhead.py --data data/dsb2018-96 --work build/overhead
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import fmean, median
from typing import Any

import optuna
from common import markdown
from process_memory import MemorySampler

from unetpp.tuning.study.epochs import epoch_records, trial_seconds

_SPACE = str(Path(__file__).parents[1] / "search_spaces" / "loss.py")
_SETTINGS = (
    "model.depth=3", "model.width=16", "data.batch_size=8", "tune.scheduler=none", "tune.sampler=random",
)  # fmt: skip
_TRIAL_PROCESS = "ray::ImplicitFunc"
"""How Ray titles the process of a Tune trial."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="packed dataset")
    parser.add_argument("--work", required=True, type=Path, help="a new folder for the sweeps")
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=3)
    arguments = parser.parse_args()
    work: Path = arguments.work
    work.mkdir(parents=True)
    settings = [*_SETTINGS, f"data.uri={arguments.data}", f"train.epochs={arguments.epochs}"]

    one = [*settings, f"tune.trials={arguments.trials}", "tune.max_concurrent=2"]
    memory = _sweep(work / "one", one)
    bare = _bare(work, arguments.trials)
    _sweep(work / "two", [*settings, "tune.trials=2", "tune.max_concurrent=1", "scale.workers=2"])

    ours, nested = _trials(work / "one"), _trials(work / "two")
    # The first trials at once also start Tune's actors, which later trials reuse.
    first, later = ours[:2], ours[2:]
    rows = [
        ["bare Optuna, plain loop", *_figures(bare, arguments.epochs), "1.00"],
        _row("unetpp, 1 worker, first of an actor", first, bare, arguments.epochs),
        _row("unetpp, 1 worker, actor reused", later, bare, arguments.epochs),
        _row("unetpp, 2 workers, alone", nested, bare, arguments.epochs, rated=False),
    ]
    header = ["trial", "start to first step, s", "img/s", "beside epochs, s per epoch", "img/s of bare"]
    print(markdown(header, rows))
    print(f"memory: {memory[0]} MiB of a one-worker trial's process, {memory[1]} MiB of the whole sweep")


def _sweep(out: Path, overrides: list[str]) -> tuple[int, int]:
    """Run a sweep; peak MiB of one trial's process and of all processes."""
    command = [sys.executable, "-m", "unetpp", "tune", _SPACE, f"out={out}", *overrides]
    print("$ unetpp", *command[3:], flush=True)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    with MemorySampler(process.pid, (_TRIAL_PROCESS,), every_s=10.0) as memory:
        if process.wait():
            raise SystemExit(f"the sweep ended with {process.returncode}")
    return memory.peak_of[_TRIAL_PROCESS] // 2**20, memory.peak_bytes // 2**20


def _bare(work: Path, trials: int) -> list[dict[str, float]]:
    """The trials of the one-worker sweep again, in two processes at once."""
    script, url = str(Path(__file__).parent / "bare_study.py"), f"sqlite:///{work / 'bare.db'}"
    optuna.create_study(storage=url, study_name="bare", direction="maximize")
    processes = []
    for first in (0, 1):
        runs = [str(work / "one" / "trials" / f"{number:04d}") for number in range(first, trials, 2)]
        command = [sys.executable, script, "--study", url, *runs]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    found: list[dict[str, float]] = []
    for process in processes:
        output, _ = process.communicate()
        found += json.loads(output.splitlines()[-1])
    return found


def _trials(sweep: Path) -> list[dict[str, float]]:
    study = optuna.load_study(study_name=sweep.name, storage=f"sqlite:///{sweep / 'study.db'}")
    return [_trial(sweep, trial) for trial in study.trials]


def _trial(sweep: Path, trial: Any) -> dict[str, float]:
    metrics = (sweep / "trials" / f"{trial.number:04d}" / "metrics.jsonl").read_text().splitlines()
    rates = [json.loads(line)["images_per_s"] for line in metrics]
    return {
        "seconds": (trial.datetime_complete - trial.datetime_start).total_seconds(),
        "in_epochs_s": trial_seconds(trial, epoch_records(trial)),
        "images_per_s": fmean(rates[1:]),
        "start_up_s": trial.user_attrs["start_up_seconds"],
    }


def _row(
    name: str,
    trials: list[dict[str, float]],
    bare: list[dict[str, float]],
    epochs: int,
    *,
    rated: bool = True,
) -> list[str]:
    ratio = fmean(t["images_per_s"] for t in trials) / fmean(t["images_per_s"] for t in bare)
    return [name, *_figures(trials, epochs), f"{ratio:.2f}" if rated else "-"]


def _figures(trials: list[dict[str, float]], epochs: int) -> list[str]:
    """Start-up, rate, and what a trial spends in neither start-up nor epochs, per epoch."""
    beside = [t["seconds"] - t["in_epochs_s"] - t["start_up_s"] for t in trials if "in_epochs_s" in t]
    return [
        f"{median(t['start_up_s'] for t in trials):.2f}",
        f"{fmean(t['images_per_s'] for t in trials):.1f}",
        f"{fmean(beside) / epochs:.2f}" if beside else "-",
    ]


if __name__ == "__main__":
    main()
