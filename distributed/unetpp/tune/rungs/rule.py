"""What every rule can do."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from unetpp.tune.levels import LevelResult

__all__ = ["Decision", "Report", "Rule", "RungState", "rung_epochs"]

Decision = Literal["continue", "stop"]

RungState = dict[str, Any]
"""JSON object with everything a rule remembers."""


class Report(NamedTuple):
    """One trial's results after one epoch, as `decide` takes them."""

    trial_id: int
    epoch: int
    """1-based."""
    levels: Sequence[LevelResult]


class Rule(Protocol):
    """Decides after each epoch whether a trial goes on. Repeating a report repeats the decision."""

    def decide(self, trial_id: int, epoch: int, levels: Sequence[LevelResult]) -> Decision:
        """Remember a report and decide; `epoch` is 1-based, `levels` has at least one result."""
        ...

    def replay(self, history: Iterable[Report]) -> None:
        """Remember reports of an earlier run of the sweep, in the order in which they were made."""
        ...

    def state(self) -> RungState:
        """Everything remembered, as JSON."""
        ...

    def load_state(self, state: RungState) -> None:
        """Replace what is remembered by what `state` returned."""
        ...


def rung_epochs(grace_epochs: int, reduction_factor: int, max_epochs: int) -> list[int]:
    """Epochs grace * factor**k before the last one, ascending."""
    rungs, epoch = [], grace_epochs
    while epoch < max_epochs:
        rungs.append(epoch)
        epoch *= reduction_factor
    return rungs
