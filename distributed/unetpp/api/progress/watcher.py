"""The watcher that draws: decisions as lines, progress as bars and tables."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from unetpp.api.progress.bars import stderr_console
from unetpp.api.progress.sweep_table import SweepTable
from unetpp.api.progress.train_progress import TrainProgress

if TYPE_CHECKING:
    from unetpp.config import RunConfig
    from unetpp.config.planning.resolve import Decision

__all__ = ["ProgressWatcher", "print_decisions"]


class ProgressWatcher:
    """A `SweepWatcher`, and so also a `TrainWatcher`."""

    def note(self, text: str) -> None:
        _print(text)

    def decided(self, decisions: "Sequence[Decision]", *, resumed: bool) -> None:
        print_decisions(decisions, word="now  " if resumed else "auto ")

    def training(self, epochs: int, first_epoch: int) -> TrainProgress:
        return TrainProgress(epochs, first_epoch=first_epoch)

    def sweep(self, base: "RunConfig", reached: float) -> SweepTable:
        return SweepTable(base.model_dump(mode="json"), base.train.counted_epochs, reached)


def print_decisions(decisions: "Sequence[Decision]", *, word: str = "auto ") -> None:
    """One line for each field: what it was decided to be, or is now, and why."""
    for decision in decisions:
        # As it is written in a command.
        value = decision.value if isinstance(decision.value, str) else json.dumps(decision.value)
        _print(f"{word} {decision.field} = {value}  ({decision.reason})")


def _print(text: str) -> None:
    # A new console each time: sys.stderr may have been replaced since.
    stderr_console().print(text, soft_wrap=True)
