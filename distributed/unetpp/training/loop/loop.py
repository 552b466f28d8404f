"""The training loop: a generator of what happened, with no side effects but learning.

    for each epoch from the state's position:
        for each step:
            wait for a batch; move and augment it; forward, backward, update
            yield StepInfo and receive a request
            yield PauseInfo, if a rank asked to save or to stop
        validate, every `train.validate_every` epochs
        yield EpochInfo

Checkpoints, logs and progress are hooks on what it yields (see hooks.py). A request of any rank is
followed by all ranks, before the next step.
"""

import time
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import astuple, dataclass, field
from typing import Any

import torch

from unetpp.config.run import RunConfig
from unetpp.core.errors import NonFiniteError, UnetppError
from unetpp.core.manifest import Manifest
from unetpp.data.cache.counts import NO_COUNTS, CacheCounts
from unetpp.data.stream.batch import HostBatch
from unetpp.data.stream.stream_plan import StreamPlan
from unetpp.training.loop.collective import max_over_ranks, sum_over_ranks
from unetpp.training.loop.delivery import Delivery
from unetpp.training.loop.device_batch import attacked, to_device
from unetpp.training.loop.dilation_draw import step_dilations
from unetpp.training.loop.learner import Learner
from unetpp.training.loop.session import Request
from unetpp.training.loop.state import EpochSums, TrainState
from unetpp.training.loop.step import train_step
from unetpp.training.loop.update import StepResult
from unetpp.training.loop.validate import validate
from unetpp.training.loop.validate_shared import validate_shared

__all__ = [
    "EpochInfo",
    "Events",
    "LoopContext",
    "PauseInfo",
    "StepInfo",
    "advance",
    "cache_metrics",
    "epoch_metrics",
    "run_step",
    "score",
    "totals",
    "training",
]


@dataclass(frozen=True)
class StepInfo:
    """After one optimiser step; values of this rank."""

    epoch: int
    step: int
    """Steps of the epoch done, 1-based."""
    steps: int
    sums: EpochSums
    """Of the steps whose result has come from the device: at most the last one is missing."""


@dataclass(frozen=True)
class PauseInfo:
    """Inside an epoch, on every rank: the state names the next step and is complete, ready to be saved."""


@dataclass(frozen=True)
class EpochInfo:
    """After one epoch; the same on every rank."""

    metrics: dict[str, Any]
    """epoch (1-based), step, loss, lr, images_per_s, data_wait, cache, seconds, val if validated, and `time`
    of a run that goes by minutes."""


Events = Generator[StepInfo | PauseInfo | EpochInfo, Request | None, None]


@dataclass(frozen=True)
class LoopContext:
    """What the loop trains and on what; fixed for the run."""

    learner: Learner
    config: RunConfig
    manifest: Manifest
    plan: StreamPlan
    rank: int
    world_size: int
    unread: deque[StepResult] = field(default_factory=deque)
    """Results of steps that the device may still compute."""


def training(context: LoopContext, state: TrainState, batches: Iterator[HostBatch]) -> Events:
    """Train from `state` to the last epoch, updating `state` in place before each yield.

    Raises:
        NonFiniteError: more steps than `train.max_nonfinite` had a NaN or Inf gradient.
        UnetppError: the stream did not deliver the scheduled batches or rows.
    """
    delivery = Delivery(batches, context.plan, context.rank, context.world_size)
    for epoch in range(state.epoch, context.config.train.epochs):
        sums, counts = state.sums.share_of(context.rank), NO_COUNTS
        started_s = time.perf_counter() - sums.seconds
        for step in range(state.step, context.plan.train_steps):
            asked_s = time.perf_counter()
            batch = delivery.take("train", epoch, step)
            wait_s = time.perf_counter() - asked_s
            result = run_step(context, state, batch)
            counts += batch.counts
            advance(context, state, sums, result, wait_s, time.perf_counter() - started_s)
            request = yield StepInfo(epoch, step + 1, context.plan.train_steps, sums)
            agreed = max_over_ranks(request or Request.GO_ON, context.learner.device)
            if agreed != Request.GO_ON:
                state.sums = totals(context, state, sums)
                yield PauseInfo()
            if agreed == Request.STOP:
                return
        metrics = epoch_metrics(context, state, totals(context, state, sums))
        metrics["cache"] = cache_metrics(context, counts)
        _assert_rows(context, metrics["images"])
        if context.plan.validates(epoch):
            steps = range(context.plan.val_steps(context.world_size))
            val_batches = (delivery.take("val", epoch, step) for step in steps)
            metrics["val"] = score(context, val_batches)
        metrics["seconds"] = time.perf_counter() - started_s
        metrics["wall_time"] = time.time()
        state.seconds += metrics["seconds"]
        state.epoch, state.step, state.sums = epoch + 1, 0, EpochSums()
        yield EpochInfo(metrics)


def score(context: LoopContext, batches: Iterator[HostBatch]) -> dict[str, Any]:
    """Validate on this rank's batches; the same values on every rank."""
    config, scored = context.config, (context.learner, batches, context.manifest, context.config)
    if not config.model.shared_dilations:
        return validate(*scored)
    return validate_shared(*scored, config.model.shared_dilations, config.tune.metric)


def run_step(context: LoopContext, state: TrainState, host: HostBatch) -> StepResult:
    """Learn from a batch."""
    config = context.config
    augment = config.augment if config.augment.enabled else None
    context.learner.hold_column(state.epoch < config.train.freeze)
    batch = to_device(host, context.learner, augment=augment, seed=config.data.seed)
    batch = attacked(batch, host.epoch, host.positions, context.learner, config)
    return train_step(
        context.learner,
        batch,
        accumulate=config.train.accumulate,
        clip=config.train.clip,
        world_size=context.world_size,
        seed=(config.train.seed, state.global_step, context.rank),
        dilations=step_dilations(
            config.model.shared_dilations,
            seed=config.train.seed,
            global_step=state.global_step,
            sandwich=config.train.sandwich,
        ),
    )


def advance(
    context: LoopContext,
    state: TrainState,
    sums: EpochSums,
    result: StepResult,
    wait_s: float,
    seconds: float,
) -> None:
    """Count a step; what it gave is read once it is there, without waiting for more than the step before.

    Raises:
        NonFiniteError: more steps than `train.max_nonfinite` had a NaN or Inf gradient.
    """
    context.unread.append(result)
    while context.unread and (len(context.unread) > 1 or context.unread[0].is_ready()):
        _read(context, state, sums)
    sums.wait_s += wait_s
    sums.seconds = seconds
    sums.steps += 1
    state.step += 1
    state.global_step += 1


def _read(context: LoopContext, state: TrainState, sums: EpochSums) -> None:
    """Count what the oldest unread step gave."""
    train, result = context.config.train, context.unread.popleft()
    sums.loss += result.loss_sum
    sums.images += result.images
    if result.finite:
        return
    sums.skipped_images += result.images
    sums.skipped_steps += 1
    state.nonfinite_steps += 1
    if state.nonfinite_steps > train.max_nonfinite:
        raise NonFiniteError(
            f"{state.nonfinite_steps} steps had a NaN or Inf gradient, more than "
            f"train.max_nonfinite={train.max_nonfinite}, the last at step {result.step}; "
            f"lower optim.lr={context.config.optim.lr}"
        )


def _assert_rows(context: LoopContext, images: int) -> None:
    plan = context.plan
    expected = min(plan.train_steps * plan.batch_size, plan.manifest.splits["train"].rows)
    if images != expected:
        raise UnetppError(f"an epoch must train on {expected} samples; it saw {images}")


def totals(context: LoopContext, state: TrainState, sums: EpochSums) -> EpochSums:
    """Loss and images of all steps added up, times averaged; every rank skips the same steps."""
    while context.unread:
        _read(context, state, sums)
    summed = torch.tensor(
        [sums.loss, sums.images, sums.skipped_images, sums.wait_s, sums.seconds],
        dtype=torch.float64,
        device=context.learner.device,
    )
    loss, images, skipped_images, wait_s, seconds = sum_over_ranks(summed).tolist()
    return EpochSums(
        loss=loss,
        images=int(images),
        seconds=seconds / context.world_size,
        wait_s=wait_s / context.world_size,
        steps=sums.steps,
        skipped_images=int(skipped_images),
        skipped_steps=sums.skipped_steps,
    )


def epoch_metrics(context: LoopContext, state: TrainState, sums: EpochSums) -> dict[str, Any]:
    """What an epoch's line in the metrics begins with; `sums` are over all ranks."""
    data_wait = sums.wait_s / max(sums.seconds, 1e-9)
    return {
        "epoch": state.epoch + 1,
        "step": state.global_step,
        "loss": sums.mean_loss,
        "lr": context.learner.optimizer.param_groups[0]["lr"],
        "images": sums.images,
        "images_per_s": sums.images / max(sums.seconds, 1e-9),
        "data_wait": data_wait,
        "train_seconds": sums.seconds,
        "nonfinite_steps": state.nonfinite_steps,
        "skipped_steps": sums.skipped_steps,
        "workers": context.world_size,
    }


def cache_metrics(context: LoopContext, counts: CacheCounts) -> dict[str, float]:
    """Of this process's part of the epoch, over all workers."""
    summed = torch.tensor(astuple(counts), dtype=torch.float64, device=context.learner.device)
    return CacheCounts(*sum_over_ranks(summed).tolist()).to_json()
