"""Callbacks: your own code at the events of a training or a sweep."""

import logging
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from unetpp.api.watchers import Silent, SweepWatcher, TrainListener
from unetpp.config import RunConfig
from unetpp.config.planning.resolve import Decision
from unetpp.tuning.listener import SweepListener

__all__ = ["Callback", "watching"]

logger = logging.getLogger(__name__)


class Callback:
    """Override the events that you want to hear of; each is called in your process, between two steps of it.

    An exception does not end the training: it is logged as a warning with its traceback, and that callback is
    not called again.
    """

    stop_requested = False

    def on_note(self, text: str) -> None:
        """A sentence for people, such as what is resumed."""

    def on_decisions(self, decisions: Sequence[Decision]) -> None:
        """Every `auto` as `field`, `value`, `reason`; of a resumed run or sweep what changes."""

    def on_train_start(self, epochs: int, first_epoch: int) -> None:
        """A training begins, after `first_epoch` epochs where resumed; `epochs` is 0 with train.minutes."""

    def on_progress(self, values: dict[str, Any]) -> None:
        """Up to five times a second: epoch, step, steps (of the epoch), loss, images_per_s, data_wait."""

    def on_epoch(self, metrics: dict[str, Any]) -> None:
        """An epoch ended: its line of metrics.jsonl; `val` only where it was validated."""

    def on_warning(self, text: str) -> None:
        """What a worker warns of, such as steps that were skipped."""

    def on_train_end(self) -> None:
        """The training is over, finished, stopped or failed."""

    def on_trial_start(self, number: int, config: dict[str, Any]) -> None:
        """A trial of a sweep starts, or goes on after a failure."""

    def on_trial_epoch(self, number: int, metrics: dict[str, Any]) -> None:
        """A trial's epoch ended; `metrics` as in `on_epoch`."""

    def on_trial_end(self, number: int, *, failed: bool) -> None:
        """A trial is complete, was stopped early, or failed."""

    def stop(self) -> None:
        """For you to call: ends the training or sweep after the current step, as Ctrl-C does."""
        self.stop_requested = True


def watching(callbacks: Sequence[Callback], *, progress: bool) -> SweepWatcher:
    """A watcher that draws where asked to, and calls the callbacks in their order."""
    watcher: SweepWatcher = Silent()
    if progress:
        from unetpp.api.progress.watcher import ProgressWatcher

        watcher = ProgressWatcher()
    return _Watcher(watcher, _Callbacks(callbacks)) if callbacks else watcher


class _Callbacks:
    """Calls those that have not failed."""

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self._callbacks = list(callbacks)
        self._is_stopping = False
        for callback in callbacks:
            callback.stop_requested = False

    def call(self, event: str, *arguments: Any, **named: Any) -> None:
        for callback in tuple(self._callbacks):
            try:
                getattr(callback, event)(*arguments, **named)
            except Exception:
                self._callbacks.remove(callback)
                name = type(callback).__name__
                logger.warning(
                    "%s.%s failed; %s is not called again, all else goes on", name, event, name, exc_info=True
                )

    def asks_to_stop(self) -> bool:
        """Whether one of them does, once: asked a second time, a training gives up the current step."""
        if self._is_stopping or not any(callback.stop_requested for callback in self._callbacks):
            return False
        self._is_stopping = True
        return True


class _Watcher:
    def __init__(self, inner: SweepWatcher, callbacks: _Callbacks) -> None:
        self._inner, self._callbacks = inner, callbacks

    def note(self, text: str) -> None:
        self._inner.note(text)
        self._callbacks.call("on_note", text)

    def decided(self, decisions: Sequence[Decision], *, resumed: bool) -> None:
        self._inner.decided(decisions, resumed=resumed)
        self._callbacks.call("on_decisions", decisions)

    @contextmanager
    def training(self, epochs: int, first_epoch: int) -> Iterator[TrainListener]:
        with self._inner.training(epochs, first_epoch) as inner:
            self._callbacks.call("on_train_start", epochs, first_epoch)
            try:
                yield _TrainListener(inner, self._callbacks)
            finally:
                self._callbacks.call("on_train_end")

    @contextmanager
    def sweep(self, base: RunConfig, reached: float) -> Iterator[SweepListener]:
        with self._inner.sweep(base, reached) as inner:
            yield _SweepListener(inner, self._callbacks)


class _TrainListener:
    def __init__(self, inner: TrainListener, callbacks: _Callbacks) -> None:
        self._inner, self._callbacks = inner, callbacks

    def ready(self, start_up_s: float) -> None:
        self._inner.ready(start_up_s)

    def progress(self, values: dict[str, Any]) -> None:
        self._inner.progress(values)
        self._call("on_progress", values)

    def epoch(self, metrics: dict[str, Any]) -> None:
        self._inner.epoch(metrics)
        self._call("on_epoch", metrics)

    def warning(self, text: str) -> None:
        self._inner.warning(text)
        self._call("on_warning", text)

    def stopping(self) -> None:
        self._inner.stopping()

    def _call(self, event: str, argument: Any) -> None:
        self._callbacks.call(event, argument)
        if self._callbacks.asks_to_stop():
            raise KeyboardInterrupt  # what `fit` takes for Ctrl-C, in any thread


class _SweepListener:
    def __init__(self, inner: SweepListener, callbacks: _Callbacks) -> None:
        self._inner, self._callbacks = inner, callbacks

    def started(self, number: int, config: dict[str, Any]) -> None:
        self._inner.started(number, config)
        self._call("on_trial_start", number, config)

    def epoch(self, number: int, metrics: dict[str, Any]) -> None:
        self._inner.epoch(number, metrics)
        self._call("on_trial_epoch", number, metrics)

    def ended(self, number: int) -> None:
        self._inner.ended(number)
        self._call("on_trial_end", number, failed=False)

    def failed(self, number: int) -> None:
        self._inner.failed(number)
        self._call("on_trial_end", number, failed=True)

    def _call(self, event: str, *arguments: Any, **named: Any) -> None:
        self._callbacks.call(event, *arguments, **named)
        if self._callbacks.asks_to_stop():
            signal.raise_signal(signal.SIGINT)  # Tune looks for the signal, not for an exception
