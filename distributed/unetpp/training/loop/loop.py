"""The training loop: a generator of what happened, with no side effects but learning.

    for each epoch from the state's position:
        for each step:
            wait for a batch; move and augment it; forward, backward, update
            yield StepInfo and receive a request
            yield PauseInfo, if a rank asked to save or to stop
        validate on the schedule
        yield EpochInfo

Checkpoints, logs and progress are hooks on what it yields (see hooks.py). A request of any rank is
followed by all ranks, before the next step.
"""

import time
from collections.abc import Generator, Iterator
from dataclasses import astuple, dataclass
from typing import Any

import torch

from unetpp.config.run import RunConfig
from unetpp.core.errors import NonFiniteError, UnetppError
from unetpp.core.manifest import Manifest
from unetpp.data.cache.counts import NO_COUNTS, CacheCounts
from unetpp.data.stream.batch import HostBatch
from unetpp.data.stream.schedule import StreamPlan
from unetpp.training.loop.collective import max_over_ranks, sum_over_ranks
from unetpp.training.loop.delivery import Delivery
from unetpp.training.loop.device_batch import to_device
from unetpp.training.loop.learner import Learner
from unetpp.training.loop.session import Request
from unetpp.training.loop.state import EpochSums, TrainState
from unetpp.training.loop.step import StepResult, train_step
from unetpp.training.loop.validate import validate

__all__ = ["EpochInfo", "PauseInfo", "StepInfo", "Trainee", "training"]


@dataclass(frozen=True)
class StepInfo:
    """After one optimiser step; values of this rank."""

    epoch: int
    step: int
    """Steps of the epoch done, 1-based."""
    steps: int
    loss: float
    sums: EpochSums


@dataclass(frozen=True)
class PauseInfo:
    """Inside an epoch, on every rank: the state names the next step and is complete, ready to be saved."""


@dataclass(frozen=True)
class EpochInfo:
    """After one epoch; the same on every rank."""

    metrics: dict[str, Any]
    """epoch (1-based), step, loss, lr, images_per_s, data_wait, goodput, cache, seconds, val if validated."""


@dataclass(frozen=True)
class Trainee:
    """What the loop trains and on what; fixed for the run."""

    learner: Learner
    config: RunConfig
    manifest: Manifest
    plan: StreamPlan
    rank: int
    world_size: int


def training(
    trainee: Trainee, state: TrainState, batches: Iterator[HostBatch]
) -> Generator[StepInfo | PauseInfo | EpochInfo, Request | None, None]:
    """Train from `state` to the last epoch, updating `state` in place before each yield.

    Raises:
        NonFiniteError: more steps than `train.max_nonfinite` had a NaN or Inf gradient.
        UnetppError: the stream did not deliver the scheduled batches or rows.
    """
    delivery = Delivery(batches, trainee.plan, trainee.rank, trainee.world_size)
    for epoch in range(state.epoch, trainee.config.train.epochs):
        sums, counts = state.sums.share_of(trainee.rank), NO_COUNTS
        started_s = time.perf_counter() - sums.seconds
        for step in range(state.step, trainee.plan.train_steps):
            asked_s = time.perf_counter()
            batch = delivery.take("train", epoch, step)
            wait_s = time.perf_counter() - asked_s
            result = _step(trainee, state, batch)
            counts += batch.counts
            _advance(state, sums, result, wait_s, time.perf_counter() - started_s)
            wish = yield StepInfo(epoch, step + 1, trainee.plan.train_steps, result.loss_sum, sums)
            agreed = max_over_ranks(wish or Request.GO_ON, trainee.learner.device)
            if agreed != Request.GO_ON:
                state.sums = _over_ranks(trainee, sums)
                yield PauseInfo()
            if agreed == Request.STOP:
                return
        metrics = _epoch_metrics(trainee, state, _over_ranks(trainee, sums))
        metrics["cache"] = _cache_metrics(trainee, counts)
        _assert_rows(trainee, metrics["images"])
        if trainee.plan.validates(epoch):
            steps = range(trainee.plan.val_steps(trainee.world_size))
            val_batches = (delivery.take("val", epoch, step) for step in steps)
            window_px = trainee.config.window_px
            metrics["val"] = validate(trainee.learner, val_batches, trainee.manifest, window_px)
        metrics["seconds"] = time.perf_counter() - started_s
        metrics["wall_time"] = time.time()
        state.seconds += metrics["seconds"]
        state.epoch, state.step, state.sums = epoch + 1, 0, EpochSums()
        yield EpochInfo(metrics)


def _step(trainee: Trainee, state: TrainState, host: HostBatch) -> StepResult:
    config = trainee.config
    augment = config.augment if config.augment.enabled else None
    batch = to_device(host, trainee.learner, augment=augment, seed=config.data.seed)
    result = train_step(
        trainee.learner,
        batch,
        accumulate=config.train.accumulate,
        clip=config.train.clip,
        world_size=trainee.world_size,
        seed=(config.train.seed, state.global_step, trainee.rank),
    )
    state.nonfinite_steps += not result.finite
    if state.nonfinite_steps > config.train.max_nonfinite:
        raise NonFiniteError(
            f"{state.nonfinite_steps} steps had a NaN or Inf gradient, more than "
            f"train.max_nonfinite={config.train.max_nonfinite}, the last at step {state.global_step}; "
            f"lower optim.lr={config.optim.lr}"
        )
    return result


def _advance(state: TrainState, sums: EpochSums, result: StepResult, wait_s: float, seconds: float) -> None:
    sums.loss += result.loss_sum
    sums.images += result.images
    if not result.finite:
        sums.skipped_images += result.images
        sums.skipped_steps += 1
    sums.wait_s += wait_s
    sums.seconds = seconds
    sums.steps += 1
    state.step += 1
    state.global_step += 1


def _assert_rows(trainee: Trainee, images: int) -> None:
    plan = trainee.plan
    expected = min(plan.train_steps * plan.batch_size, plan.manifest.splits["train"].rows)
    if images != expected:
        raise UnetppError(f"an epoch must train on {expected} samples; it saw {images}")


def _over_ranks(trainee: Trainee, sums: EpochSums) -> EpochSums:
    """Loss and images added up, times averaged; every rank skips the same steps."""
    totals = torch.tensor(
        [sums.loss, sums.images, sums.skipped_images, sums.wait_s, sums.seconds],
        dtype=torch.float64,
        device=trainee.learner.device,
    )
    loss, images, skipped_images, wait_s, seconds = sum_over_ranks(totals).tolist()
    return EpochSums(
        loss=loss,
        images=int(images),
        seconds=seconds / trainee.world_size,
        wait_s=wait_s / trainee.world_size,
        steps=sums.steps,
        skipped_images=int(skipped_images),
        skipped_steps=sums.skipped_steps,
    )


def _epoch_metrics(trainee: Trainee, state: TrainState, sums: EpochSums) -> dict[str, Any]:
    data_wait = sums.wait_s / max(sums.seconds, 1e-9)
    return {
        "epoch": state.epoch + 1,
        "step": state.global_step,
        "loss": sums.mean_loss,
        "lr": trainee.learner.optimizer.param_groups[0]["lr"],
        "images": sums.images,
        "images_per_s": sums.images / max(sums.seconds, 1e-9),
        "data_wait": data_wait,
        # Rate with real data over the rate if no step had ever waited for its batch.
        "goodput": 1.0 - data_wait,
        "train_seconds": sums.seconds,
        "nonfinite_steps": state.nonfinite_steps,
        "skipped_steps": sums.skipped_steps,
        "workers": trainee.world_size,
    }


def _cache_metrics(trainee: Trainee, counts: CacheCounts) -> dict[str, float]:
    """Of this process's part of the epoch, over all workers."""
    totals = torch.tensor(astuple(counts), dtype=torch.float64, device=trainee.learner.device)
    return CacheCounts(*sum_over_ranks(totals).tolist()).to_json()
