"""The training loop inside a Ray Train worker: the session that Ray Train provides."""

import logging
import os
import time
from collections.abc import Collection, Generator, Mapping
from typing import Any, TypedDict

import ray
import ray.train
import ray.train.torch
import ray.util
import torch
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from unetpp.compat.ray import remove_placement_group
from unetpp.config.planning.hardware import available_cpus
from unetpp.config.planning.shares import worker_threads
from unetpp.core.logs import RedactSecrets, setup_logging
from unetpp.data.stream.batch import HostBatch
from unetpp.data.stream.ray_stream import stream_batches
from unetpp.data.stream.stream_plan import Position, StreamPlan
from unetpp.training.loop.session import Request
from unetpp.training.ray.metrics_export import Exporter, RunMetrics
from unetpp.training.ray.preemption import DrainWatch
from unetpp.training.run.rank import TrainJob, run_job

__all__ = [
    "ProgressBoard",
    "WorkerArguments",
    "remove_placement_groups",
    "start_beside_caller",
    "train_worker",
]

_HEARTBEAT_S = 0.25


class ProgressBoard:
    """An actor between rank 0 and whoever watches: progress one way, the request to stop the other."""

    def __init__(self) -> None:
        self._progress: dict[str, Any] = {}
        self._epochs: list[dict[str, Any]] = []
        self._warnings: list[str] = []
        self._groups: set[str] = set()
        self._stop = False

    def update(self, progress: dict[str, Any]) -> bool:
        """Replace the progress inside the epoch; returns whether to stop."""
        self._progress = progress
        return self._stop

    def add_epoch(self, metrics: dict[str, Any]) -> None:
        """Append a finished epoch."""
        self._progress = {}
        self._epochs.append(metrics)

    def add_warning(self, text: str) -> None:
        """Pass on a line that a worker logged."""
        self._warnings.append(text)

    def read(self) -> tuple[dict[str, Any], list[dict[str, Any]], list[str]]:
        """Progress inside the epoch, and the epochs and warnings since the last call."""
        epochs, self._epochs = self._epochs, []
        warnings, self._warnings = self._warnings, []
        return self._progress, epochs, warnings

    def request_stop(self) -> None:
        """Ask the workers to stop before their next step."""
        self._stop = True

    def is_stop_requested(self) -> bool:
        """Whether the workers were asked to stop."""
        return self._stop

    def hold(self, group: str) -> None:
        """The workers' resources are in this placement group."""
        self._groups.add(group)

    def groups(self) -> set[str]:
        """Placement groups that hold or held workers' resources."""
        return self._groups


def start_beside_caller(actor_class: type[Any]) -> Any:
    """Start an actor on the machine of whoever calls: it is lost with its caller and not before."""
    strategy = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(num_cpus=0, scheduling_strategy=strategy)(actor_class).remote()


def remove_placement_groups(groups: Collection[str]) -> None:
    """Free what workers hold or held, and end those; groups that are gone are passed over.

    Ray Train leaves this to an actor that asks Ray's dashboard, which an embedded Ray does not have.
    """
    for group in groups:
        remove_placement_group(group)


class WorkerArguments(TypedDict):
    """`train_loop_config` of every worker."""

    job: TrainJob
    board: Any
    concurrent: int
    """Trainings that share the machines."""


class _RaySession:
    def __init__(self, job: TrainJob, board: Any) -> None:
        context = ray.train.get_context()
        self.rank: int = context.get_world_rank()
        self.world_size: int = context.get_world_size()
        self._board = board
        self._metrics = RunMetrics(job.run_uri, self.rank, Exporter())
        self._place, self._drain = _place(), DrainWatch()
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
        return Request.STOP if self._is_stopped(progress) else self._drain.request()

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


def train_worker(arguments: WorkerArguments) -> None:
    """Run one rank; Ray Train calls this in every worker and calls it again after a lost one."""
    session = _RaySession(arguments["job"], arguments["board"])
    setup_logging(rank=session.rank)
    logging.getLogger("unetpp").addHandler(_BoardHandler(arguments["board"], session.rank))
    # Ray sets one thread for a fraction of a CPU; a node's cores belong to its workers.
    sharing = ray.train.get_context().get_local_world_size() * arguments["concurrent"]
    torch.set_num_threads(worker_threads(arguments["job"].config, available_cpus(), sharing))
    run_job(arguments["job"], session, ray.train.torch.get_device())
