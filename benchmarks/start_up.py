"""How long a user waits for the first step: seconds, and processor seconds of all processes.

`train` with one worker and with two, and trials of sweeps with one worker and with two, on a dataset of one
batch: an epoch has one step, so that its record is written at the first one. With `--baseline` each command
also runs on another checkout of the package, in turns, and the last column is the ratio to it.

    git worktree add --detach build/before 12f0c1d
    python benchmarks/start_up.py --work build/start-up --baseline build/before
    python benchmarks/start_up.py --work build/start-up --trace
"""

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import optuna
import psutil
from common import checkout_environment, markdown
from process_memory import processor_seconds

from unetpp.data.synthetic import make_cells

_CHECKOUT = Path(__file__).parents[1]
_SPACE = str(_CHECKOUT / "search_spaces" / "loss.py")
_ROWS, _SIDE_PX = 8, 64
_SMALL = (
    "model.depth=2", "model.width=4", f"data.batch_size={_ROWS}", f"data.crop={_SIDE_PX}", "train.epochs=1",
)  # fmt: skip
_SWEEP = (*_SMALL, "tune.scheduler=none", "tune.sampler=random", "tune.max_concurrent=1")
_POLL_S = 0.02
_TIMEOUT_S = 180


@dataclass(frozen=True)
class Figure:
    """Of one command."""

    seconds: float
    processor_s: float | None = None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", required=True, type=Path, help="a new folder")
    parser.add_argument("--baseline", type=Path, help="another checkout of the package")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=["train", "tune"])
    parser.add_argument(
        "--trace", action="store_true", help="list the processes of one `train` of two workers"
    )
    arguments = parser.parse_args()
    work: Path = arguments.work.resolve()
    work.mkdir(parents=True)
    make_cells(work / "cells", count=2 * _ROWS, size_px=_SIDE_PX, seed=0)
    if arguments.trace:
        _first_step(_CHECKOUT, _pack(_CHECKOUT, work, "ours"), work / "trace", workers=2, shown=True)
        return
    builds = {"ours": _CHECKOUT} | ({"baseline": arguments.baseline.resolve()} if arguments.baseline else {})
    # An earlier build does not know every field of a later one's dataset.
    data = {build: _pack(checkout, work, build) for build, checkout in builds.items()}
    found: dict[str, dict[str, list[Figure]]] = {}
    for repeat in range(arguments.repeats):
        for build, checkout in builds.items():
            folder = work / f"{build}-{repeat}"
            for case, figure in _measured(checkout, data[build], folder, arguments.only).items():
                found.setdefault(case, {}).setdefault(build, []).append(figure)
                print(
                    f"{build}: {case}: {figure.seconds:.2f} s, {figure.processor_s} s of processor",
                    flush=True,
                )
    header = ["start", *(f"{build}, s" for build in builds), *(f"{build}, processor s" for build in builds)]
    print(markdown([*header, "ratio"], [_row(case, figures) for case, figures in found.items()]))


def _pack(checkout: Path, work: Path, build: str) -> str:
    packed = str(work / f"{build}-data")
    pack = ["data", "pack", "--images", f"{work}/cells/images", "--masks", f"{work}/cells/masks"]
    subprocess.run(
        [sys.executable, "-m", "unetpp", *pack, "--out", packed, "--val", "0.5", "--test", "0"],
        check=True,
        stdout=subprocess.DEVNULL,
        env=checkout_environment(checkout),
    )
    return packed


def _measured(checkout: Path, data: str, folder: Path, only: str | None) -> Mapping[str, Figure]:
    found = {}
    if only != "tune":
        for workers in (1, 2):
            found[f"train, {workers} worker(s): command to first step"] = _first_step(
                checkout, data, folder / f"train-{workers}", workers=workers
            )
    if only != "train":
        first, *later = _trials(checkout, data, folder / "one", workers=1, trials=5)
        found["sweep, 1 worker: first trial"] = Figure(first)
        found["sweep, 1 worker: a later trial, in the same actor"] = Figure(median(later))
        first, *later = _trials(checkout, data, folder / "two", workers=2, trials=3)
        found["sweep, 2 workers: first trial"] = Figure(first)
        found["sweep, 2 workers: a later trial"] = Figure(median(later))
    return found


def _first_step(checkout: Path, data: str, out: Path, *, workers: int, shown: bool = False) -> Figure:
    """From the start of the command to the record of its first epoch, which is one step."""
    command = ["train", f"data.uri={data}", f"out={out}", f"scale.workers={workers}", *_SMALL]
    started_s = time.monotonic()
    log = out.with_suffix(".log")
    process = _start(checkout, command, log)
    metrics = out / "metrics.jsonl"
    while not metrics.exists():
        if process.poll() is not None or time.monotonic() - started_s > _TIMEOUT_S:
            process.send_signal(signal.SIGINT)
            waited = f"no step after {time.monotonic() - started_s:.0f} s of {' '.join(command)}"
            raise SystemExit(f"{waited}:\n{log.read_text()[-2000:]}")
        time.sleep(_POLL_S)
    figure = Figure(time.monotonic() - started_s, round(processor_seconds(process.pid), 1))
    if shown:
        print(f"first step after {figure.seconds:.1f} s and {figure.processor_s} s of processor")
        print(markdown(["started after, s", "processor, s", "process"], _processes(process.pid)))
    if process.wait(_TIMEOUT_S):
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return figure


def _trials(checkout: Path, data: str, out: Path, *, workers: int, trials: int) -> list[float]:
    """Seconds from a trial's launch to its first step, in the order of the trials."""
    command = ["tune", _SPACE, f"data.uri={data}", f"out={out}", f"scale.workers={workers}", *_SWEEP]
    log = out.with_suffix(".log")
    if _start(checkout, [*command, f"tune.trials={trials}"], log).wait():
        raise SystemExit(f"{' '.join(command)} failed:\n{log.read_text()[-2000:]}")
    study = optuna.load_study(study_name=out.name, storage=f"sqlite:///{out / 'study.db'}")
    return [trial.user_attrs["start_up_seconds"] for trial in study.trials]


def _start(checkout: Path, command: list[str], log: Path) -> subprocess.Popen[bytes]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "unetpp", *command],
            env=checkout_environment(checkout),
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def _processes(root: int) -> list[list[str]]:
    """When each process of a tree started, and its processor time so far."""
    processes = [psutil.Process(root), *psutil.Process(root).children(recursive=True)]
    began_s = processes[0].create_time()
    rows = []
    for process in sorted(processes, key=lambda one: one.create_time()):
        times, title = process.cpu_times(), " ".join(process.cmdline())[-100:]
        rows.append([f"{process.create_time() - began_s:.1f}", f"{times.user + times.system:.1f}", title])
    return rows


def _row(case: str, figures: Mapping[str, list[Figure]]) -> list[str]:
    seconds = [median(figure.seconds for figure in of_build) for of_build in figures.values()]
    processor = [
        median(figure.processor_s for figure in of_build if figure.processor_s is not None)
        if of_build[0].processor_s is not None
        else None
        for of_build in figures.values()
    ]
    ratio = f"{seconds[0] / seconds[1]:.2f}" if len(seconds) > 1 else "-"
    shown = ["-" if value is None else f"{value:.1f}" for value in processor]
    return [case, *(f"{value:.2f}" for value in seconds), *shown, ratio]


if __name__ == "__main__":
    main()
