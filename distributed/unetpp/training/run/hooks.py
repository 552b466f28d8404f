"""What happens beside learning: early stopping, checkpoints, metrics, trackers, in a fixed order each epoch.

    1. score        keep the best value and the patience count in the state        (every rank)
    2. latency      time the sub-network of every scored level, once               (rank 0)
    3. metrics      append to metrics.jsonl                                        (rank 0)
    4. checkpoint   save, mark the best, thin out                                  (rank 0)
    5. trackers     TensorBoard and others; their failure is logged, never raised  (rank 0)
    6. report       hand the metrics to whatever runs the session                  (every rank)

A checkpoint is safe before anything reports the epoch it belongs to. Metrics go before it: a run killed
between the two trains the epoch again and replaces its line; the other way round the line would be lost.

Inside an epoch there is only the checkpoint, where `CheckpointInterval` finds it due.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from unetpp.config.dilations import Dilation, distinct_networks
from unetpp.config.run import RunConfig
from unetpp.core.errors import InputError
from unetpp.core.ownership import Claim
from unetpp.core.rundir import RunDir
from unetpp.models.latency import device_name, measure_levels_s
from unetpp.training.loop.learner import Learner
from unetpp.training.loop.loop import EpochInfo, StepInfo
from unetpp.training.loop.session import Request, Session
from unetpp.training.loop.state import TrainState
from unetpp.training.run.checkpoint import pack_checkpoint
from unetpp.training.run.trackers import Trackers

__all__ = ["CheckpointInterval", "EpochHooks"]

logger = logging.getLogger(__name__)


class EpochHooks:
    """The hooks of one worker; only rank 0 writes."""

    def __init__(
        self,
        config: RunConfig,
        run: RunDir,
        learner: Learner,
        state: TrainState,
        session: Session,
        claim: Claim | None,
    ) -> None:
        self._config, self._run, self._learner = config, run, learner
        self._state, self._session = state, session
        self._is_writer, self._claim, self._lost = session.rank == 0, claim, False
        # Epochs past the checkpoint that a lost worker had already written are trained again.
        self._epochs = [e for e in run.read_metrics() if e["epoch"] <= state.epoch] if self._is_writer else []
        self._latency_s: dict[tuple[int, Dilation], float] = {}
        """Of each network, by level and the dilations of its rows."""
        self._interval = CheckpointInterval(
            config.train.checkpoint_every_steps, config.train.checkpoint_minutes
        )
        # Last: whoever has the hooks closes the trackers.
        self._trackers = Trackers(config, run) if self._is_writer else None

    def request_after(self, info: StepInfo) -> Request:
        """Whether this rank asks for a checkpoint; the writer speaks for all.

        After the last step of an epoch the epoch's own checkpoint follows. A run that was taken over stops.
        """
        if self._lost:
            return Request.STOP
        due = self._is_writer and info.step < info.steps and self._interval.is_due(self._state.global_step)
        return Request.SAVE if due else Request.GO_ON

    def after_epoch(self, info: EpochInfo) -> None:
        """Run all hooks for a finished epoch."""
        is_best = self._score(info.metrics)
        self._state.finished = self._state.ended_by(self._config.train) is not None
        info.metrics["finished"] = self._state.finished
        if self._trackers is not None and self._may_write():
            self._add_latency(info.metrics)
            self._epochs.append(info.metrics)
            self._run.write_metrics(self._epochs)
            self.save(best=is_best)
            self._trackers.log(info.metrics)
        self._session.report(info.metrics)

    def save(self, *, best: bool = False) -> None:
        """Write a checkpoint of the current state, from rank 0."""
        if not self._may_write():
            return
        store, step = self._run.checkpoints, self._state.global_step
        store.save(step, pack_checkpoint(self._learner, self._state))
        if best:
            assert self._state.best_value is not None
            store.mark_best(step, self._state.best_value)
        store.thin_out(self._config.train.keep_checkpoints)
        self._interval.saved()

    def close(self) -> None:
        """End the trackers' runs."""
        if self._trackers is not None:
            self._trackers.close(finished=self._state.finished)

    def _may_write(self) -> bool:
        """Whether this is the rank that writes, and its run has not been taken over."""
        if self._is_writer and self._claim is not None and not self._claim.holds():
            logger.warning("%s was taken over by another process; nothing more is written", self._run.uri)
            self._is_writer, self._lost = False, True
        return self._is_writer

    def _add_latency(self, metrics: dict[str, Any]) -> None:
        """Seconds of a forward pass of each pruned level, beside its scores; weights do not change them."""
        if "val" not in metrics:
            return
        own, scored = self._learner.model.dilation, metrics["val"]
        if not self._latency_s:
            for vector, levels in distinct_networks(
                self._config.model.shared_dilations or (own,), self._learner.model.supervised_levels
            ):
                self._measure(vector, levels)
        scored["device"] = device_name(self._learner.device)
        for dilation, levels in [
            (own, scored["levels"]),
            *((tuple(entry["dilation"]), entry["levels"]) for entry in scored.get("candidates", [])),
        ]:
            for level, values in levels.items():
                values["latency_s"] = self._latency_s[int(level), dilation[: int(level) + 1]]

    def _measure(self, dilation: Dilation, levels: Sequence[int]) -> None:
        seconds = measure_levels_s(
            self._learner.model,
            channels=int(self._config.model.in_channels),
            size_px=self._config.patch_px,
            device=self._learner.device,
            levels=levels,
            dilation=dilation,
        )
        self._latency_s |= {(level, dilation[: level + 1]): value for level, value in seconds.items()}

    def _score(self, metrics: dict[str, Any]) -> bool:
        """Whether the epoch is the best so far.

        Raises:
            InputError: `tune.metric` is one of labels of whole images, and none has one.
        """
        if "val" not in metrics:
            return False
        # The metric a sweep maximises is also the one that picks a run's best checkpoint.
        metric, scored = self._config.tune.metric, metrics["val"]
        if metric not in scored:
            raise InputError(
                f"tune.metric={metric} needs images with a label in the split val; none has one; label some, "
                "or use tune.metric=dice"
            )
        value = float(scored[metric])
        if self._state.best_value is not None and value <= self._state.best_value:
            self._state.validations_since_best += 1
            return False
        self._state.best_value, self._state.best_epoch = value, metrics["epoch"]
        self._state.validations_since_best = 0
        return True


class CheckpointInterval:
    """Counts from the last checkpoint of any kind.

    Args:
        every_steps: steps of the run between checkpoints; 0 counts none.
        minutes: between checkpoints; 0 counts none.
        clock: seconds, never going back.
    """

    def __init__(self, every_steps: int, minutes: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._every_steps, self._interval_s = every_steps, minutes * 60
        self._clock = clock
        self._saved_s = clock()

    def is_due(self, global_step: int) -> bool:
        """Whether to save after that step of the run; a resumed run saves at the same ones."""
        by_steps = self._every_steps > 0 and global_step % self._every_steps == 0
        return by_steps or 0 < self._interval_s <= self._clock() - self._saved_s

    def saved(self) -> None:
        """A checkpoint has just been written."""
        self._saved_s = self._clock()
