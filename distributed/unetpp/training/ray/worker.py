"""The training loop inside a Ray Train worker: the session that Ray Train provides."""

import logging
import os
import time
from collections.abc import Generator, Mapping
from typing import Any

import ray
import ray.train
import ray.train.torch
import ray.util
import torch

from unetpp.core.logs import RedactSecrets, setup_logging
from unetpp.core.process_memory import keep_freed_memory
from unetpp.data.stream.batch import HostBatch
from unetpp.data.stream.ray_stream import stream_batches
from unetpp.data.stream.stream_plan import Position, StreamPlan
from unetpp.training.loop.session import Request
from unetpp.training.ray.entry import WorkerArguments
from unetpp.training.ray.metrics_export import Exporter, RunMetrics
from unetpp.training.ray.preemption import PreemptionWatch
from unetpp.training.ray.threads import set_threads
from unetpp.training.run.job import TrainJob
from unetpp.training.run.rank import run_job

__all__ = ["run_worker"]

_HEARTBEAT_S = 0.25


class _RaySession:
    def __init__(self, job: TrainJob, board: Any) -> None:
        context = ray.train.get_context()
        self.rank: int = context.get_world_rank()
        self.world_size: int = context.get_world_size()
        self._board = board
        self._metrics = RunMetrics(job.run_uri, self.rank, Exporter())
        self._place, self._preemption = _place(), PreemptionWatch()
        if self._place["placement_group"] is not None:
            ray.get(board.hold.remote(self._place["placement_group"]))
        self._pending: Any = None
        self._last_s = 0.0

    def batches(self, plan: StreamPlan, start: Position) -> Generator[HostBatch, None, None]:
        return stream_batches(plan, rank=self.rank, world_size=self.world_size, start=start)

    def report(self, metrics: Mapping[str, Any]) -> None:
        self._metrics.epoch(metrics)
        if self.rank == 0:
            ray.get(self._board.add_epoch.remote(dict(metrics)))
        ray.train.report(dict(metrics))

    def heartbeat(self, progress: Mapping[str, Any]) -> Request:
        self._metrics.step(progress)
        return Request.STOP if self._is_stopped(progress) else self._preemption.request()

    def _is_stopped(self, progress: Mapping[str, Any]) -> bool:
        if self.rank != 0:
            return False
        # Never wait for the board: its answer to the last call is read when it has arrived.
        if self._pending is not None and ray.wait([self._pending], timeout=0)[0]:
            stop: bool = ray.get(self._pending)
            self._pending = None
            return stop
        if self._pending is None and time.monotonic() - self._last_s > _HEARTBEAT_S:
            self._pending, self._last_s = (
                self._board.update.remote({**progress, **self._place}),
                time.monotonic(),
            )
        return False


def _place() -> dict[str, Any]:
    """The process, and the placement group that holds the workers' resources."""
    group = ray.util.get_current_placement_group()
    return {"pid": os.getpid(), "placement_group": None if group is None else group.id.hex()}


class _BoardHandler(logging.Handler):
    """Carries a worker's warnings to whoever watches; Ray's own log lines stay in its log files."""

    def __init__(self, board: Any, rank: int) -> None:
        super().__init__(logging.WARNING)
        self._board = board
        self.setFormatter(RedactSecrets(f"%(levelname)s [rank {rank}] %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self._board.add_warning.remote(self.format(record))


def run_worker(arguments: WorkerArguments) -> None:
    """Run one rank, see `train_worker`."""
    session = _RaySession(arguments["job"], arguments["board"])
    setup_logging(rank=session.rank)
    logging.getLogger("unetpp").addHandler(_BoardHandler(arguments["board"], session.rank))
    sharing = ray.train.get_context().get_local_world_size() * arguments["concurrent"]
    set_threads(arguments["job"].config, sharing)
    keep_freed_memory()
    device = ray.train.torch.get_device()
    if device.type == "cuda":
        torch.cuda.set_device(device)
    run_job(arguments["job"], session, device)
