"""One worker's part of a training run, in any session: load, resume, loop, hooks.

Nothing here knows Ray; `worker.py` provides the session for Ray Train.
"""

import logging
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import torch

from unetpp.config.run import RunConfig
from unetpp.core.manifest import Manifest
from unetpp.core.ownership import Claim
from unetpp.core.rundir import RunDir
from unetpp.data.stream.batch import HostBatch
from unetpp.data.stream.prefetch import Prefetch
from unetpp.data.stream.stream_plan import StreamPlan
from unetpp.training.loop.learner import Learner
from unetpp.training.loop.loop import EpochInfo, LoopContext, PauseInfo, StepInfo, training
from unetpp.training.loop.session import Request, Session
from unetpp.training.loop.state import TrainState
from unetpp.training.run.checkpoint import agreed_checkpoint, read_state, restore_learner
from unetpp.training.run.hooks import EpochHooks

__all__ = ["TrainJob", "run_job", "stream_plan"]

logger = logging.getLogger(__name__)

_PREFETCHED_BATCHES = 2


@dataclass(frozen=True)
class TrainJob:
    """What every worker of a run is given; picklable."""

    config: RunConfig
    manifest: Manifest
    run_uri: str
    claim: Claim | None = None
    """Of whoever started the workers: once it was lost they write nothing more."""


def run_job(job: TrainJob, session: Session, device: torch.device) -> TrainState:
    """Train until the last epoch, early stopping or a request to stop, and return where the run stands.

    Continues from the newest checkpoint that rank 0 can verify, where the run has one.

    Raises:
        CheckpointError: another rank does not have that checkpoint.
    """
    run = RunDir(job.run_uri)
    plan = stream_plan(job)
    total_steps = plan.train_steps * job.config.train.epochs
    found = agreed_checkpoint(run.checkpoints, session.rank, device)
    state = TrainState() if found is None else read_state(found[1])
    # Epochs and patience may have changed since it was saved.
    state.finished = state.ended_by(job.config.train) is not None
    if state.finished:
        return state
    # Reading starts while the network is built; the reader is closed on every way out.
    with closing(Prefetch(session.batches(plan, state.position), _PREFETCHED_BATCHES)) as batches:
        learner = Learner(job.config, job.manifest, total_steps, device)
        if found is not None:
            restore_learner(found[1], learner)
            logger.info("continuing from step %d: epoch %d, step %d of it", found[0], state.epoch, state.step)
        context = LoopContext(learner, job.config, job.manifest, plan, session.rank, session.world_size)
        with closing(EpochHooks(job.config, run, learner, state, session, job.claim)) as hooks:
            _drive(context, state, batches, hooks, session)
    return state


def stream_plan(job: TrainJob) -> StreamPlan:
    """The batches of a run, from its configuration and its dataset."""
    data = job.config.data
    return StreamPlan(
        uri=data.uri,
        manifest=job.manifest,
        batch_size=int(data.batch_size),
        crop=job.config.patch_px,
        foreground=float(data.foreground),
        epochs=job.config.train.epochs,
        validate_every=job.config.train.validate_every,
        seed=data.seed,
        window_bytes=data.window_bytes,
        drop_last=data.drop_last,
        reading_tasks=data.workers,
        cache_bytes=int(data.cache_bytes),
        cache_dir=data.cache_dir,
        labels=data.labels,
    )


def _drive(
    context: LoopContext, state: TrainState, batches: Iterator[HostBatch], hooks: EpochHooks, session: Session
) -> None:
    events = training(context, state, batches)
    request: Request | None = None
    while not state.finished:
        try:
            event = events.send(request)
        except StopIteration:
            return
        request = None
        match event:
            case StepInfo():
                request = max(session.heartbeat(_progress(event)), hooks.request_after(event))
            case PauseInfo():
                hooks.save()
            case EpochInfo():
                hooks.after_epoch(event)


def _progress(info: StepInfo) -> dict[str, float]:
    sums = info.sums
    return {
        "epoch": info.epoch + 1,
        "step": info.step,
        "steps": info.steps,
        "images": sums.images,
        "loss": sums.mean_loss,
        "images_per_s": sums.images / max(sums.seconds, 1e-9),
        "data_wait": sums.wait_s / max(sums.seconds, 1e-9),
    }
