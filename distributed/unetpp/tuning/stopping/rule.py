"""What every early-stopping rule can do, and the rungs at which some decide."""

from collections.abc import Sequence
from typing import Protocol

from unetpp.tuning.study.epochs import Verdict
from unetpp.tuning.study.levels import LevelResult

__all__ = ["Rule", "rung_epochs"]


class Rule(Protocol):
    """Decides after each epoch whether a trial goes on. A report that is known is not judged again."""

    def decide(self, trial_id: int, epoch: int, levels: Sequence[LevelResult]) -> Verdict:
        """Remember a report and decide; `epoch` is 1-based, `levels` has at least one result."""
        ...

    def enter(self, trial_id: int, epoch: int, levels: Sequence[LevelResult], verdict: Verdict) -> None:
        """Remember a report of an earlier run of the sweep with the decision that was made then.

        Trials may come in any order, the epochs of each in theirs.
        """
        ...


def rung_epochs(grace_epochs: int, reduction_factor: int, max_epochs: int) -> list[int]:
    """Epochs grace * factor**k before the last one, ascending."""
    rungs, epoch = [], grace_epochs
    while epoch < max_epochs:
        rungs.append(epoch)
        epoch *= reduction_factor
    return rungs
