"""The watcher of the command line: decisions as lines, progress as bars and tables, on stderr."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from unetpp.cli.terminal.output import note
from unetpp.cli.terminal.sweep_table import SweepTable
from unetpp.cli.terminal.train_progress import TrainProgress

if TYPE_CHECKING:
    from unetpp.config import RunConfig
    from unetpp.config.planning.resolve import Decision

__all__ = ["TerminalWatcher", "print_decisions"]


class TerminalWatcher:
    """A `SweepWatcher`, and so also a `TrainWatcher`."""

    def note(self, text: str) -> None:
        note(text)

    def decided(self, decisions: "Sequence[Decision]", *, resumed: bool) -> None:
        print_decisions(decisions, word="now  " if resumed else "auto ")

    def training(self, epochs: int, first_epoch: int) -> TrainProgress:
        return TrainProgress(epochs, first_epoch=first_epoch)

    def sweep(self, base: "RunConfig", reached: float) -> SweepTable:
        return SweepTable(base.model_dump(mode="json"), base.train.epochs, reached)


def print_decisions(decisions: "Sequence[Decision]", *, word: str = "auto ") -> None:
    """One line for each field: what it was decided to be, or is now, and why."""
    for decision in decisions:
        note(f"{word} {decision.field} = {decision.value}  ({decision.reason})")
