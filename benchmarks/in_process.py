"""Trainings and sweeps in this process, on one thread and without Ray, whose CPU time can be compared.

Trials run one after another; the study, the configurations and what is decided are those of `unetpp tune`.
What is there already is not run again, and a sweep that was cut off goes on.

    python benchmarks/in_process.py SPACE.py data.uri=data/dsb96 out=build/recorded tune.scheduler=none
"""

import contextlib
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import optuna
import torch

from unetpp.config import RunConfig, detect_hardware, load_config
from unetpp.core.manifest import Manifest
from unetpp.core.rundir import RunDir
from unetpp.data.stream.batch import HostBatch
from unetpp.data.stream.stream_plan import Position, StreamPlan, epoch_units
from unetpp.data.stream.unit import open_reader, open_unit
from unetpp.training.loop.session import Request
from unetpp.training.run.create import create_run
from unetpp.training.run.job import TrainJob
from unetpp.training.run.rank import run_job
from unetpp.tuning.ledger import Ledger
from unetpp.tuning.setup import plan_sweep
from unetpp.tuning.space.space import load_space
from unetpp.tuning.sweep import claim_sweep

__all__ = ["OneThread", "Sweeping", "run_sweep_here", "train_here"]

_FIELDS = ("train.trackers=[]", "scale.gpu=false", "scale.workers=1", "scale.cpus_per_worker=1")


class _StoppedError(Exception):
    """The ledger ends a trial."""


class OneThread:
    """A session that reads its shards itself, and hands each epoch to whoever asks."""

    rank, world_size = 0, 1

    def __init__(self, on_epoch: Callable[[Mapping[str, Any]], None]) -> None:
        self._on_epoch = on_epoch

    def batches(self, plan: StreamPlan, start: Position) -> Generator[HostBatch, None, None]:
        reader = open_reader(plan)
        for epoch in range(start.epoch, plan.epochs):
            first_step = start.step if epoch == start.epoch else 0
            for unit in epoch_units(plan, epoch, world_size=1, first_step=first_step):
                yield from open_unit(plan, unit, rank=0, world_size=1, reader=reader).batches()

    def report(self, metrics: Mapping[str, Any]) -> None:
        self._on_epoch(metrics)

    def heartbeat(self, progress: Mapping[str, Any]) -> Request:  # noqa: ARG002 - never asked to stop
        return Request.GO_ON


def train_here(
    config: RunConfig, manifest: Manifest, on_epoch: Callable[[Mapping[str, Any]], None] = lambda _: None
) -> float:
    """Train a run whose `auto`s are decided, from its checkpoint if it has one; CPU seconds that it took."""
    run = RunDir(config.run_uri)
    if not run.exists():
        create_run(config, [], manifest, {})

    def reported(metrics: Mapping[str, Any]) -> None:
        print(f"epoch {metrics['epoch']}: loss {metrics['loss']:.4f}", file=sys.stderr, flush=True)
        on_epoch(metrics)

    started_s = time.process_time()
    run_job(TrainJob(config, manifest, run.uri), OneThread(reported), torch.device("cpu"))
    return time.process_time() - started_s


class Sweeping:
    """Where a sweep stands after a trial."""

    def __init__(self, manifest: Manifest, study: optuna.Study, uri: str) -> None:
        self.manifest, self.study, self.uri = manifest, study, uri
        self.cpu_s = 0.0
        """Of all trials, their validation included."""
        self.epochs = 0


def run_sweep_here(
    space: str, overrides: Sequence[str], goes_on: Callable[[Sweeping], bool] = lambda _: True
) -> None:
    """Run a sweep's trials until its budget ends, or `goes_on` after one of them says so.

    Raises:
        UserError: the sweep cannot run.
    """
    config, loaded = load_config(None, [*_FIELDS, *overrides]), load_space(space)
    done = RunDir(config.run_uri).storage.exists("sweep.yaml")
    setup = plan_sweep(config, loaded, detect_hardware(), resume=done)
    sweep = claim_sweep(setup, resume=done)
    ledger, where = Ledger(setup, sweep.study), Sweeping(setup.manifest, sweep.study, setup.sweep_uri)
    while (spec := ledger.next_trial()) is not None:
        number = spec.number

        def reported(metrics: Mapping[str, Any], number: int = number) -> None:
            where.epochs += 1
            if ledger.report(number, metrics) == "stop":
                raise _StoppedError

        started_s = time.process_time()
        with contextlib.suppress(_StoppedError):
            train_here(spec.config, setup.manifest, reported)
        where.cpu_s += time.process_time() - started_s
        ledger.end(number)
        if not goes_on(where):
            return


if __name__ == "__main__":
    torch.set_num_threads(1)
    run_sweep_here(sys.argv[1], sys.argv[2:])
