"""One trial inside a Tune actor: the training loop itself, or a Ray Train run of several workers."""

import json
import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

import ray
import ray.tune
import torch

from unetpp.config.run import RunConfig
from unetpp.core.errors import final_error
from unetpp.core.logs import redact
from unetpp.core.manifest import Manifest
from unetpp.core.ownership import Claim
from unetpp.core.provenance import collect
from unetpp.core.rundir import RunDir
from unetpp.data.stream.batch import HostBatch
from unetpp.data.stream.ray_stream import stream_batches
from unetpp.data.stream.stream_plan import Position, StreamPlan
from unetpp.training.loop.session import Request
from unetpp.training.ray.board import remove_placement_groups
from unetpp.training.ray.metrics_export import Exporter, RunMetrics
from unetpp.training.ray.preemption import PreemptionWatch
from unetpp.training.ray.threads import set_threads
from unetpp.training.ray.trainer import fit
from unetpp.training.run.create import create_run
from unetpp.training.run.job import TrainJob
from unetpp.training.run.rank import run_job
from unetpp.tuning.population.takeover import Takeover, take_over
from unetpp.tuning.ray.decisions import StopTrial

__all__ = ["TrialContext", "failure_cause", "reported_metrics", "run_trial"]

_METRICS = "metrics"
_NO_MEMORY = re.compile("not enough memory|allocate memory", re.IGNORECASE)
"""What torch's CPU allocator and the operating system say in a plain RuntimeError or OSError."""


@dataclass(frozen=True)
class TrialContext:
    """What all trials of a sweep share."""

    manifest: Manifest
    board: Any
    concurrent: int
    """Trials that run at once."""
    claim: Claim | None = None
    """Of the sweep's driver."""


def run_trial(params: dict[str, Any], context: TrialContext) -> None:
    """Tune's function trainable: train trial `params["number"]` as `params["config"]` says.

    A trial that was started before continues from its checkpoint, in the same run folder.
    """
    number, config = int(params["number"]), RunConfig.model_validate(params["config"])
    remove_placement_groups(ray.get(context.board.begin.remote(number)))
    reporter = _Reporter(number, context.board)
    try:
        job = _job(config, params["decisions"], context.manifest, context.claim)
        if params["takeover"] is not None:
            take_over(config, Takeover(**params["takeover"]))
        # The driver may have died before it recorded what was reported; recording again changes nothing.
        for metrics in RunDir(job.run_uri).read_metrics():
            reporter(metrics)
        if config.max_workers > 1:
            fit(job, _Listener(reporter, number, context.board), concurrent=context.concurrent)
        else:
            set_threads(config, context.concurrent)
            run_job(job, _Session(reporter, RunMetrics(job.run_uri, 0, Exporter())), _device(config))
    except StopTrial:
        return
    except Exception as error:
        ray.get(context.board.fail.remote(number, failure_cause(error)))
        # Tune starts a trial again whatever it raises; this one would fail in the same way.
        if final_error([error]) is None:
            raise


def reported_metrics(result: Mapping[str, Any]) -> dict[str, Any]:
    """The epoch's metrics, as the training loop reported them, from a Tune result."""
    metrics: dict[str, Any] = json.loads(result[_METRICS])
    return metrics


def failure_cause(error: BaseException) -> str:
    """One line for the study: the kind of error, its message, and what to do about a lack of memory."""
    text = f"{type(error).__name__}: {error}".rstrip(": ")
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or _NO_MEMORY.search(text):
        text += "; out of memory: lower data.batch_size, data.crop or the space's model.width and model.depth"
    return redact(" ".join(text.split()))


def _job(
    config: RunConfig, decisions: list[dict[str, Any]], manifest: Manifest, claim: Claim | None = None
) -> TrainJob:
    run = RunDir(config.run_uri)
    if not run.exists():
        create_run(config, decisions, manifest, collect())
    # A trial that goes on reads what it was started with: its checkpoint's position counts those rows.
    return TrainJob(config, run.read_dataset(), config.run_uri, claim)


def _device(config: RunConfig) -> torch.device:
    return torch.device("cuda" if config.scale.gpu else "cpu")


class _Reporter:
    """Hands an epoch to Tune, whose driver has decided about it once the call returns."""

    def __init__(self, number: int, board: Any) -> None:
        self._number, self._board = number, board

    def __call__(self, metrics: Mapping[str, Any]) -> None:
        # Tune flattens nested metrics on their way to some listeners and not to others.
        ray.tune.report(
            {"epoch": metrics["epoch"], "loss": metrics["loss"], _METRICS: json.dumps(dict(metrics))}
        )
        if ray.get(self._board.is_stopped.remote(self._number, int(metrics["epoch"]))):
            raise StopTrial


class _Session:
    """The session of a one-worker trial."""

    rank, world_size = 0, 1

    def __init__(self, reporter: _Reporter, metrics: RunMetrics) -> None:
        self._reporter, self._metrics, self._preemption = reporter, metrics, PreemptionWatch()

    def batches(self, plan: StreamPlan, start: Position) -> Generator[HostBatch, None, None]:
        return stream_batches(plan, rank=0, world_size=1, start=start)

    def report(self, metrics: Mapping[str, Any]) -> None:
        self._metrics.epoch(metrics)
        self._reporter(metrics)

    def heartbeat(self, progress: Mapping[str, Any]) -> Request:
        """Epochs are short in a sweep: a trial is stopped between them only."""
        self._metrics.step(progress)
        return self._preemption.request()


class _Listener:
    """The listener of a trial with several workers."""

    def __init__(self, reporter: _Reporter, number: int, board: Any) -> None:
        self._reporter, self._number, self._board = reporter, number, board
        self._group: str | None = None

    def progress(self, values: dict[str, Any]) -> None:
        """Only whole epochs are reported, but where the workers are must outlive this process."""
        group = values["placement_group"]
        if group not in (None, self._group):
            self._group = group
            self._board.hold.remote(self._number, group)

    def epoch(self, metrics: dict[str, Any]) -> None:
        self._reporter(metrics)

    def warning(self, text: str) -> None:
        """Warnings stay in Ray's log files."""

    def stopping(self) -> None:
        """Tune's driver, not this process, is stopped from the keyboard."""
