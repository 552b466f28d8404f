"""One worker's part of a training run, in any session: load, resume, loop, hooks.

Nothing here knows Ray; `worker.py` provides the session for Ray Train.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import replace

import torch

from unetpp.core.rundir import RunDir
from unetpp.data.stream.batch import HostBatch
from unetpp.data.stream.prefetch import Prefetch
from unetpp.data.stream.stream_plan import Position, StreamPlan
from unetpp.training.loop.learner import Learner
from unetpp.training.loop.loop import EpochInfo, Events, LoopContext, PauseInfo, StepInfo, training
from unetpp.training.loop.session import Request, Session
from unetpp.training.loop.state import TrainState
from unetpp.training.loop.time_budget import TimeBudget
from unetpp.training.loop.timed import OpenBatches, timed_training
from unetpp.training.run.checkpoint import agreed_checkpoint, restore_learner
from unetpp.training.run.hooks import EpochHooks
from unetpp.training.run.job import TrainJob, stream_plan
from unetpp.training.run.saved_state import read_state

__all__ = ["run_job"]

logger = logging.getLogger(__name__)

_PREFETCHED_BATCHES = 2


def run_job(
    job: TrainJob, session: Session, device: torch.device, clock: Callable[[], float] = time.time
) -> TrainState:
    """Train to the last epoch or minute, early stopping or a request to stop; return where the run stands.

    Continues from the newest checkpoint that rank 0 can verify, where the run has one.

    Args:
        job: what to train.
        session: of this rank.
        device: where.
        clock: seconds, of which `train.minutes` are spent; that of `began_at`.

    Raises:
        CheckpointError: another rank does not have that checkpoint.
    """
    run, minutes = RunDir(job.run_uri), job.config.train.minutes
    repeats = run.read_repeats() if job.config.data.repeat_threshold else ()
    plan = replace(stream_plan(job), repeats=repeats)
    total_steps = None if minutes > 0 else plan.train_steps * job.config.train.epochs
    found = agreed_checkpoint(run.checkpoints, session.rank, device)
    state = TrainState() if found is None else read_state(found[1])
    # Epochs and patience may have changed since it was saved.
    state.finished = state.ended_by(job.config.train) is not None
    if state.finished:
        return state
    # Reading starts while the network is built; the reader is closed on every way out.
    with closing(Prefetch(session.batches(plan, state.position), _PREFETCHED_BATCHES)) as batches:
        initial = run.read_initial() if found is None else None
        learner = Learner(job.config, job.manifest, total_steps, device, initial)
        if found is not None:
            restore_learner(found[1], learner)
            logger.info("continuing from step %d: epoch %d, step %d of it", found[0], state.epoch, state.step)
        context = LoopContext(learner, job.config, job.manifest, plan, session.rank, session.world_size)
        events = training(context, state, batches)
        if minutes > 0:
            before_s = state.used_s if job.began_at is None else job.used_before_s
            began_at = clock() if job.began_at is None else job.began_at
            budget = TimeBudget(minutes * 60, before_s, began_at, clock)
            events = timed_training(context, state, batches, budget, _validation_of(session))
        with closing(EpochHooks(job.config, run, learner, state, session, job.claim)) as hooks:
            _drive(events, state, hooks, session)
    return state


def _validation_of(session: Session) -> OpenBatches:
    """How to read the validation split of a plan, from its start."""

    def opened(plan: StreamPlan) -> AbstractContextManager[Iterator[HostBatch]]:
        start = Position(0, plan.train_steps)
        return closing(Prefetch(session.batches(plan, start), _PREFETCHED_BATCHES))

    return opened


def _drive(events: Events, state: TrainState, hooks: EpochHooks, session: Session) -> None:
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
