"""The training loop of a run that goes by minutes: as loop.py, but time tells where it validates and ends.

    for each epoch from the state's position:
        for each step, at the learning rate of the time that is used:
            as in loop.py; stop where what is left is needed for a last validation
        validate, where that fits into its share of the time, and at the end
        yield EpochInfo after each validation

Rank 0's clock decides, for all ranks, in the collective that a request needs anyway. An epoch that the end
cuts short counts as done. Validations read a stream of their own, as nobody knows beforehand where they are.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import count
from typing import Any

from unetpp.data.cache.counts import NO_COUNTS
from unetpp.data.stream.batch import HostBatch
from unetpp.data.stream.stream_plan import StreamPlan
from unetpp.training.loop.collective import from_rank_0, max_of_each
from unetpp.training.loop.delivery import Delivery
from unetpp.training.loop.loop import (
    EpochInfo,
    Events,
    LoopContext,
    PauseInfo,
    StepInfo,
    advance,
    cache_metrics,
    epoch_metrics,
    run_step,
    score,
    totals,
)
from unetpp.training.loop.session import Request
from unetpp.training.loop.state import EpochSums, TrainState
from unetpp.training.loop.time_budget import TimeBudget

__all__ = ["OpenBatches", "timed_training"]

_PROBED_STEPS = 3

OpenBatches = Callable[[StreamPlan], AbstractContextManager[Iterator[HostBatch]]]


@dataclass(frozen=True)
class _Agreed:
    """What rank 0's clock and all ranks' requests say after a step."""

    request: Request
    is_up: bool
    is_due: bool


def timed_training(
    context: LoopContext,
    state: TrainState,
    batches: Iterator[HostBatch],
    budget: TimeBudget,
    open_validation: OpenBatches,
) -> Events:
    """Train from `state` until the time is used, updating `state` in place before each yield.

    Raises:
        NonFiniteError: more steps than `train.max_nonfinite` had a NaN or Inf gradient.
        UnetppError: the stream did not deliver the scheduled batches or rows.
    """
    plan = context.plan
    delivery = Delivery(batches, plan, context.rank, context.world_size)
    validation = _Validation(context, open_validation)
    validation.measure(budget, state)
    sums, counts, validated_s = state.sums.share_of(context.rank), NO_COUNTS, None
    started_s = time.perf_counter() - sums.seconds
    for epoch in count(state.epoch):
        agreed = _agree(context, state, budget, validation.rows, validated_s, None)
        for step in range(state.step, plan.train_steps):
            asked_s, clocked_s = time.perf_counter(), budget.clock()
            batch = delivery.take("train", epoch, step)
            wait_s = time.perf_counter() - asked_s
            result = run_step(context, state, batch)
            counts += batch.counts
            advance(context, state, sums, result, wait_s, time.perf_counter() - started_s)
            budget.step_s = budget.clock() - clocked_s
            request = yield StepInfo(epoch, step + 1, plan.train_steps, sums)
            agreed = _agree(context, state, budget, validation.rows, validated_s, request)
            if agreed.request != Request.GO_ON:
                yield from _pause(context, state, sums, budget)
            if agreed.request == Request.STOP:
                return
            if agreed.is_up:
                break
        if agreed.is_up or agreed.is_due:
            metrics = epoch_metrics(context, state, totals(context, state, sums))
            metrics["cache"] = cache_metrics(context, counts)
            clocked_s = budget.clock()
            validation.score_into(metrics)
            val_s = budget.clock() - clocked_s
            budget.val_image_s = val_s / max(validation.rows, 1)
            metrics["seconds"] = time.perf_counter() - started_s
            metrics["wall_time"] = time.time()
            state.seconds += metrics["seconds"]
            state.used_s = budget.total_s if agreed.is_up else state.used_s + val_s
            metrics["time"] = {"used_s": state.used_s, "total_s": budget.total_s}
            state.epoch, state.step, state.sums = epoch + 1, 0, EpochSums()
            clocked_s = budget.clock()
            yield EpochInfo(metrics)
            if agreed.is_up:
                return
            budget.saving_s = budget.clock() - clocked_s
            state.bookkeeping_s += val_s + budget.saving_s
            sums, counts, validated_s = EpochSums(), NO_COUNTS, budget.used_s()
            started_s = time.perf_counter()
        else:
            state.epoch, state.step = epoch + 1, 0


def _pause(context: LoopContext, state: TrainState, sums: EpochSums, budget: TimeBudget) -> Events:
    """Let the state be saved inside an epoch."""
    state.sums = totals(context, state, sums)
    clocked_s = budget.clock()
    yield PauseInfo()
    state.bookkeeping_s += budget.clock() - clocked_s


def _agree(
    context: LoopContext,
    state: TrainState,
    budget: TimeBudget,
    val_rows: int,
    validated_s: float | None,
    request: Request | None,
) -> _Agreed:
    """Bring the state and the learning rate to the time that rank 0 has used."""
    is_first, device = context.rank == 0, context.learner.device
    used_ms = round(budget.used_s() * 1000) if is_first else 0
    if is_first:
        state.used_s = used_ms / 1000
        state.began_s = state.used_s if state.began_s is None else state.began_s
    said = (
        request or Request.GO_ON,
        int(is_first and budget.is_up(val_rows)),
        int(is_first and budget.is_due(val_rows, state, validated_s)),
        used_ms,
        round((state.began_s or 0.0) * 1000) if is_first else 0,
        budget.time_step(val_rows, state) if is_first else 0,
    )
    asked, is_up, is_due, used_ms, began_ms, time_step = max_of_each(said, device)
    state.used_s, state.began_s = used_ms / 1000, began_ms / 1000
    context.learner.follow_time(time_step)
    return _Agreed(Request(asked), bool(is_up), bool(is_due))


class _Validation:
    """Scores as many rows of the validation split as its share of the time allows.

    Args:
        context: of the loop.
        open_batches: this rank's batches of a validation plan.
    """

    def __init__(self, context: LoopContext, open_batches: OpenBatches) -> None:
        self._context, self._open = context, open_batches
        self._plan = context.plan.validation(0)
        self.rows = self._plan.rows("val")
        """Of each validation; 0 without a validation split."""

    def measure(self, budget: TimeBudget, state: TrainState) -> None:
        """Time a few rows, and decide how many are scored; a run keeps scoring the same rows."""
        if not self.rows:
            return
        world_size, learner = self._context.world_size, self._context.learner
        dilation = learner.model.dilation
        # The first pass of a process allocates and picks kernels: it takes many times as long. Where it
        # takes more than its share, nothing else is tried.
        self._time(min(world_size, self.rows), budget)
        probed = _PROBED_STEPS * self._plan.val_batch_size(world_size)
        self._time(self._agreed(budget.scored_rows(min(probed, self.rows))), budget)
        if learner.shares_dilations:
            learner.set_dilation(dilation)  # a few batches do not say which vector is best
        state.val_rows = self._agreed(state.val_rows or budget.scored_rows(self.rows))
        self._plan = self._plan.validation(state.val_rows)
        self.rows = state.val_rows

    def _time(self, rows: int, budget: TimeBudget) -> None:
        batches = list(self._batches(self._plan.validation(rows)))
        clocked_s = budget.clock()
        self._validate(iter(batches))
        budget.val_image_s = (budget.clock() - clocked_s) / rows

    def _agreed(self, rows: int) -> int:
        return from_rank_0([rows], self._context.learner.device)[0]

    def score_into(self, metrics: dict[str, Any]) -> None:
        """Add `val` to an epoch's metrics, where there is a validation split."""
        if self.rows:
            metrics["val"] = self._validate(self._batches(self._plan))

    def _validate(self, batches: Iterator[HostBatch]) -> dict[str, Any]:
        return score(self._context, batches)

    def _batches(self, plan: StreamPlan) -> Iterator[HostBatch]:
        context = self._context
        with self._open(plan) as batches:
            delivery = Delivery(batches, plan, context.rank, context.world_size)
            for step in range(plan.val_steps(context.world_size)):
                yield delivery.take("val", 0, step)
