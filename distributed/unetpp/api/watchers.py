"""Who watches a training or a sweep: the command line draws, a program by default hears nothing."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from unetpp.config import RunConfig
from unetpp.config.planning.resolve import Decision
from unetpp.training.run.listener import Listener
from unetpp.tuning.listener import SweepListener

__all__ = ["Silent", "SweepWatcher", "TrainListener", "TrainWatcher"]


class TrainListener(Listener, Protocol):
    """Someone who watches one training, from the start of its workers."""

    def ready(self, start_up_s: float) -> None:
        """A worker has reported its first progress, so long after the workers were asked for."""
        ...


class TrainWatcher(Protocol):
    """Hears what is decided, and gives the listener of each training."""

    def note(self, text: str) -> None:
        """A sentence for people."""
        ...

    def decided(self, decisions: Sequence[Decision], *, resumed: bool) -> None:
        """Every `auto` with its reason; of a resumed run or sweep what changes."""
        ...

    def training(self, epochs: int, first_epoch: int) -> AbstractContextManager[TrainListener]:
        """The listener of one training; 0 epochs where it goes by minutes."""
        ...


class SweepWatcher(TrainWatcher, Protocol):
    """The same for a sweep; its confirmation trains."""

    def sweep(self, base: RunConfig, reached: float) -> AbstractContextManager[SweepListener]:
        """The listener of the trials; `reached` is the best `tune.metric` of a sweep that goes on."""
        ...


class Silent:
    """A watcher whose listeners say nothing."""

    def note(self, text: str) -> None: ...

    def decided(self, decisions: Sequence[Decision], *, resumed: bool) -> None: ...

    def training(self, epochs: int, first_epoch: int) -> AbstractContextManager[TrainListener]:  # noqa: ARG002
        return nullcontext(_SilentListener())

    def sweep(self, base: RunConfig, reached: float) -> AbstractContextManager[SweepListener]:  # noqa: ARG002
        return nullcontext(_SilentSweepListener())


class _SilentListener:
    def ready(self, start_up_s: float) -> None: ...

    def progress(self, values: dict[str, Any]) -> None: ...

    def epoch(self, metrics: dict[str, Any]) -> None: ...

    def warning(self, text: str) -> None: ...

    def stopping(self) -> None: ...


class _SilentSweepListener:
    def started(self, number: int, config: dict[str, Any]) -> None: ...

    def epoch(self, number: int, metrics: dict[str, Any]) -> None: ...

    def ended(self, number: int) -> None: ...

    def failed(self, number: int) -> None: ...
