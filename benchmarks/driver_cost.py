"""What a sweep's driver does on every report, as the study grows: fake trials, real study in SQLite, no Ray.

Timed is all that the driver does on a report but for Ray itself: the ledger with its study, the sweep's
Prometheus values and the table in the terminal. Sixteen trials run at once. For each length of the study a
sweep is filled with copies of one finished trial and resumed; its memory is that of a process of its own. A
bare write is one user attribute of the study: what the disk makes a transaction cost.

    python benchmarks/driver_cost.py
    python benchmarks/driver_cost.py --scheduler asha --objectives quality latency
    python benchmarks/driver_cost.py --sampler tpe
"""

import argparse
import contextlib
import io
import resource
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from common import markdown

from unetpp.api.progress.sweep_table import SweepTable
from unetpp.config import Hardware, Node, load_config
from unetpp.core.manifest import ChannelStats, ClassInfo, Manifest, SplitInfo
from unetpp.tuning.ledger import Ledger, TrialSpec
from unetpp.tuning.ray.metrics import SweepMetrics
from unetpp.tuning.setup import SweepSetup
from unetpp.tuning.space.space import load_space
from unetpp.tuning.study.study import open_study

_SPACE = """
def space(trial):
    return {
        "optim.lr": trial.suggest_float("optim.lr", 1e-5, 1e-1, log=True),
        "loss.ce": trial.suggest_float("loss.ce", 0, 1),
        "model.width": trial.suggest_categorical("model.width", [2, 4]),
    }
"""
_LEVELS = (1, 2, 3)
_CONCURRENT = 16
_MIB = 2**20
_COPIED = {
    "trial_params": "param_name, param_value, distribution_json",
    "trial_values": "objective, value, value_type",
    "trial_intermediate_values": "step, intermediate_value, intermediate_value_type",
    "trial_user_attributes": "key, value_json",
}


class _NoExport:
    """In place of Ray's metrics."""

    def set(self, values: Mapping[str, float], tags: Mapping[str, str]) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, nargs="+", default=[50, 200, 500, 1000, 2000])
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--reports", type=int, default=320)
    parser.add_argument("--scheduler", default="none", choices=["none", "asha", "median"])
    parser.add_argument("--sampler", default="random")
    parser.add_argument("--objectives", nargs="+", default=["quality"])
    arguments = parser.parse_args()
    columns = (
        "trials", "epochs", "ms a report", "of it CPU", "ms a bare write", "ms a launch", "s to open", "MiB",
        "study.db MiB",
    )  # fmt: skip
    rows = []
    for trials in arguments.trials:
        # A process of its own, for its memory.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
            rows.append(alone.submit(_measure, trials, arguments).result())
    print(markdown(columns, rows))


def _measure(trials: int, arguments: argparse.Namespace) -> list[str]:
    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stderr(io.StringIO()):
        folder = Path(name)
        _fill(folder, trials, arguments)
        started_s = time.perf_counter()
        ledger = _ledger(folder, trials, arguments)
        open_s = time.perf_counter() - started_s
        reports, launches_ms = _play(ledger, arguments)
        writes = [_timed(lambda n=n: ledger.study.set_user_attr("bare", n))[1] for n in range(100)]
        return [
            str(trials),
            str(trials * arguments.epochs),
            *(f"{statistics.fmean(column):.2f}" for column in zip(*reports, strict=True)),
            f"{statistics.fmean(writes):.2f}",
            f"{statistics.median(launches_ms):.0f}",
            f"{open_s:.1f}",
            f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}",
            f"{(folder / 'study.db').stat().st_size / _MIB:.1f}",
        ]


def _fill(folder: Path, trials: int, arguments: argparse.Namespace) -> None:
    """A study of finished trials: one that was played, and copies of its rows."""
    ledger, generator = _ledger(folder, trials, arguments), np.random.default_rng(0)
    spec = ledger.next_trial()
    assert spec is not None
    for epoch in range(1, arguments.epochs + 1):
        ledger.report(spec.number, _metrics(epoch, arguments.epochs, generator))
    ledger.end(spec.number)
    with contextlib.closing(sqlite3.connect(folder / "study.db")) as database, database:
        for number in range(1, trials):
            database.execute(
                "INSERT INTO trials (number, study_id, state, datetime_start, datetime_complete) "
                "SELECT ?, study_id, state, datetime_start, datetime_complete FROM trials WHERE number = 0",
                (number,),
            )
        for table, columns in _COPIED.items():
            database.execute(
                f"INSERT INTO {table} (trial_id, {columns}) SELECT other.trial_id, {columns} FROM {table} "
                "JOIN trials first ON first.trial_id = {0}.trial_id AND first.number = 0 "
                "JOIN trials other ON other.number > 0".format(table)
            )


def _play(ledger: Ledger, arguments: argparse.Namespace) -> tuple[list[tuple[float, float]], list[float]]:
    """(wall, CPU) milliseconds of every report, and milliseconds of every launch."""
    generator = np.random.default_rng(1)
    metrics = SweepMetrics(ledger, _NoExport())  # type: ignore[arg-type]
    table = SweepTable(ledger.setup.base.model_dump(mode="json"), arguments.epochs)
    specs, launches_ms = [], []
    for _ in range(_CONCURRENT):
        spec, took_ms = _timed(ledger.next_trial)
        specs.append(spec)
        launches_ms.append(took_ms)
        _started(table, metrics, spec)
    reports = []
    for index in range(arguments.reports):
        number, epoch = specs[index % _CONCURRENT].number, 1 + index // _CONCURRENT
        values, cpu_s = _metrics(epoch, arguments.epochs, generator), time.thread_time()
        _, took_ms = _timed(lambda n=number, v=values: _report(ledger, table, metrics, n, v))
        reports.append((took_ms, 1000 * (time.thread_time() - cpu_s)))
    # The first of each trial also writes what is written once.
    return reports[_CONCURRENT:], launches_ms


def _started(table: SweepTable, metrics: SweepMetrics, spec: TrialSpec) -> None:
    table.started(spec.number, spec.config.model_dump(mode="json"))
    metrics.on_trial_start()


def _report(
    ledger: Ledger, table: SweepTable, metrics: SweepMetrics, number: int, values: dict[str, Any]
) -> str:
    """In the order in which Tune calls them."""
    verdict = ledger.report(number, values)
    table.epoch(number, values)
    metrics.on_trial_result()
    return verdict


def _timed(call: Any) -> tuple[Any, float]:
    started_s = time.perf_counter()
    result = call()
    return result, 1000 * (time.perf_counter() - started_s)


def _metrics(epoch: int, epochs: int, generator: np.random.Generator) -> dict[str, Any]:
    """What a trial reports after an epoch."""
    quality = generator.random() * (1 - 0.5**epoch)
    scored = {
        str(level): {"dice": quality * level / _LEVELS[-1], "latency_s": 0.001 * level * generator.random()}
        for level in _LEVELS
    }
    return {"epoch": epoch, "seconds": 1.0, "finished": epoch == epochs, "val": {"levels": scored}}


def _ledger(folder: Path, trials: int, arguments: argparse.Namespace) -> Ledger:
    (folder / "space.py").write_text(_SPACE)
    space = load_space(folder / "space.py")
    fields = [
        f"data.uri={folder}",
        f"out={folder / 'sweep'}",
        "data.crop=32",
        f"model.depth={_LEVELS[-1]}",
        f"train.epochs={arguments.epochs}",
        f"tune.trials={trials + _CONCURRENT}",
        f"tune.scheduler={arguments.scheduler}",
        f"tune.sampler={arguments.sampler}",
        f"tune.objectives=[{','.join(arguments.objectives)}]",
    ]
    config = load_config(None, fields)
    study = open_study(f"sqlite:///{folder / 'study.db'}", "sweep", space=space, config=config)
    hardware = Hardware((Node(cpus=2, memory_bytes=8 * 2**30),))
    setup = SweepSetup(str(folder / "sweep"), config, space, _manifest(), hardware, 2**33)
    return Ledger(setup, study)


def _manifest() -> Manifest:
    return Manifest(
        version="00001",
        task="binary",
        classes=(ClassInfo(name="object", colour=(255, 0, 0)),),
        ignore_index=None,
        image_labels=(),
        channels=1,
        dtype="uint8",
        splits={name: SplitInfo(rows=100, shards=()) for name in ("train", "val")},
        channel_stats=(ChannelStats(mean=90, std=50, p01=0, p50=80, p99=230),),
        sizes={"64x64": 200},
        class_pixels=(1000,),
        foreground_histogram=(0,) * 10,
        command="benchmark",
        versions={},
        fingerprint="benchmark",
    )


if __name__ == "__main__":
    main()
