"""What a sweep's driver does on every report, as the study grows: fake trials, real study in SQLite, no Ray.

Trials report made-up scores as fast as the driver takes them. Timed is all that the driver does on a report
but for Ray itself: the ledger with its study, the sweep's Prometheus values and the table in the terminal.

    python benchmarks/driver_cost.py
    python benchmarks/driver_cost.py --trials 500 --scheduler asha --objectives quality latency
    python benchmarks/driver_cost.py --sampler tpe --trials 500
"""

import argparse
import contextlib
import io
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from common import markdown

from unetpp.cli.sweep_table import SweepTable
from unetpp.config import Hardware, load_config
from unetpp.core.manifest import ChannelStats, ClassInfo, Manifest, SplitInfo
from unetpp.tune.ledger import Ledger, SweepSetup, TrialSpec
from unetpp.tune.space import load_space
from unetpp.tune.study import open_study
from unetpp.tune.sweep_metrics import SweepMetrics

_SPACE = """
def space(trial):
    return {
        "optim.lr": trial.suggest_float("optim.lr", 1e-5, 1e-1, log=True),
        "loss.ce": trial.suggest_float("loss.ce", 0, 1),
        "model.width": trial.suggest_categorical("model.width", [2, 4]),
    }
"""
_LEVELS = (1, 2, 3)
_MIB = 2**20


class _NoExport:
    """In place of Ray's metrics."""

    def set(self, values: Mapping[str, float], tags: Mapping[str, str]) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--concurrent", type=int, default=16)
    parser.add_argument("--scheduler", default="none", choices=["none", "asha", "median"])
    parser.add_argument("--sampler", default="random")
    parser.add_argument("--objectives", nargs="+", default=["quality"])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = list(_run(_ledger(Path(folder), arguments), Path(folder), arguments))
        print(markdown(["trials", "ms a report", "99 %", "ms a launch", "MiB", "study.db MiB"], rows))
        started_s = time.perf_counter()
        _ledger(Path(folder), arguments)
        print(f"opened again in {time.perf_counter() - started_s:.1f} s")


def _run(ledger: Ledger, folder: Path, arguments: argparse.Namespace) -> Iterator[list[str]]:
    """One row for each of the marks, over the trials since the one before."""
    marks = [mark for mark in (50, 100, 200, 500, 1000, 2000) if mark <= arguments.trials]
    generator = np.random.default_rng(0)
    metrics = SweepMetrics(ledger, _NoExport())  # type: ignore[arg-type]
    table = SweepTable(ledger.setup.base.model_dump(mode="json"), arguments.epochs)
    live: dict[int, int] = {}
    reports_ms: list[float] = []
    launches_ms: list[float] = []
    ended, launching = 0, True
    while launching or live:
        while launching and len(live) < arguments.concurrent:
            spec, took_ms = _timed(ledger.next_trial)
            launching = spec is not None
            if spec is not None:
                launches_ms.append(took_ms)
                live[spec.number] = 0
                _started(table, metrics, spec)
        for number in list(live):
            live[number] += 1
            values = _metrics(live[number], arguments.epochs, generator)
            verdict, took_ms = _timed(lambda n=number, v=values: _report(ledger, table, metrics, n, v))
            reports_ms.append(took_ms)
            if verdict == "stop" or values["finished"]:
                del live[number]
                ledger.end(number)
                with contextlib.redirect_stderr(io.StringIO()):
                    table.ended(number)
                ended += 1
        if marks and ended >= marks[0]:
            yield _row(marks.pop(0), reports_ms, launches_ms, folder)
            reports_ms, launches_ms = [], []


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


def _row(trials: int, reports_ms: list[float], launches_ms: list[float], folder: Path) -> list[str]:
    resident_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / _MIB
    file_mib = (folder / "study.db").stat().st_size / _MIB
    highest = float(np.percentile(reports_ms, 99))
    launch = statistics.fmean(launches_ms) if launches_ms else 0.0
    return [
        str(trials),
        f"{statistics.fmean(reports_ms):.2f}",
        f"{highest:.2f}",
        f"{launch:.0f}",
        f"{resident_mib:.0f}",
        f"{file_mib:.1f}",
    ]


def _metrics(epoch: int, epochs: int, generator: np.random.Generator) -> dict[str, Any]:
    """What a trial reports after an epoch."""
    quality = generator.random() * (1 - 0.5**epoch)
    scored = {
        str(level): {"dice": quality * level / _LEVELS[-1], "latency_s": 0.001 * level * generator.random()}
        for level in _LEVELS
    }
    return {"epoch": epoch, "seconds": 1.0, "finished": epoch == epochs, "val": {"levels": scored}}


def _ledger(folder: Path, arguments: argparse.Namespace) -> Ledger:
    (folder / "space.py").write_text(_SPACE)
    space = load_space(folder / "space.py")
    fields = [
        f"data.uri={folder}",
        f"out={folder / 'sweep'}",
        "data.crop=32",
        f"model.depth={_LEVELS[-1]}",
        f"train.epochs={arguments.epochs}",
        f"tune.trials={arguments.trials}",
        f"tune.scheduler={arguments.scheduler}",
        f"tune.sampler={arguments.sampler}",
        f"tune.objectives=[{','.join(arguments.objectives)}]",
    ]
    config = load_config(None, fields)
    study = open_study(f"sqlite:///{folder / 'study.db'}", "sweep", space=space, config=config)
    hardware = Hardware(cpus=2, memory_bytes=8 * 2**30, gpus=0, gpu_memory_bytes=0)
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
