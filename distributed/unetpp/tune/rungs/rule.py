"""What every rule can do."""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, Protocol

from unetpp.tune.levels import LevelResult

__all__ = ["Report", "Rule", "Verdict", "replay", "rung_epochs"]

Verdict = Literal["continue", "stop"]


class Report(NamedTuple):
    """One trial's results after one epoch, as `decide` takes them."""

    trial_id: int
    epoch: int
    """1-based."""
    levels: Sequence[LevelResult]


class Rule(Protocol):
    """Decides after each epoch whether a trial goes on. Repeating a report repeats the decision."""

    def decide(self, trial_id: int, epoch: int, levels: Sequence[LevelResult]) -> Verdict:
        """Remember a report and decide; `epoch` is 1-based, `levels` has at least one result."""
        ...


def replay(rule: Rule, history: Iterable[Report]) -> None:
    """Let a new rule remember the reports of an earlier run of the sweep, in the order they were made."""
    for report in history:
        rule.decide(*report)


def rung_epochs(grace_epochs: int, reduction_factor: int, max_epochs: int) -> list[int]:
    """Epochs grace * factor**k before the last one, ascending."""
    rungs, epoch = [], grace_epochs
    while epoch < max_epochs:
        rungs.append(epoch)
        epoch *= reduction_factor
    return rungs
