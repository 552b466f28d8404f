"""An actor between driver and trials: early-stopping decisions one way, causes of failure the other."""

from typing import Any

from unetpp.training.ray.board import start_beside_caller

__all__ = ["DecisionBoard", "StopTrial", "start_board"]


class StopTrial(Exception):  # noqa: N818 - it ends a trial well
    """Raised inside a trial that is to end here; its checkpoint is safe."""


class DecisionBoard:
    """Decisions by (trial, epoch), and failures by trial.

    Tune would end a trial by killing its actor, and with it the driver of nested workers, whose resources
    then stay taken until something cleans up. A trial that is told to stop ends by itself within a step.
    """

    def __init__(self) -> None:
        self._stops: set[tuple[int, int]] = set()
        self._failures: dict[int, str] = {}
        self._groups: dict[int, set[str]] = {}

    def stop(self, number: int, epoch: int) -> None:
        """Decide that the trial ends after this epoch."""
        self._stops.add((number, epoch))

    def is_stopped(self, number: int, epoch: int) -> bool:
        """Whether the trial was to end after this epoch."""
        return (number, epoch) in self._stops

    def begin(self, number: int) -> set[str]:
        """An attempt at the trial starts; returns the placement groups that an earlier one has held.

        What it reports again is decided again: a trial that ended to go on otherwise does not end twice.
        """
        self._failures.pop(number, None)
        self._stops = {stop for stop in self._stops if stop[0] != number}
        return self._groups.pop(number, set())

    def hold(self, number: int, group: str) -> None:
        """The trial's workers are in this placement group."""
        self._groups.setdefault(number, set()).add(group)

    def fail(self, number: int, cause: str) -> None:
        """Keep what a trial says of its own failure; one that was killed says nothing."""
        self._failures[number] = cause

    def failure(self, number: int) -> str | None:
        """What the trial said, if anything."""
        return self._failures.get(number)


def start_board() -> Any:
    """A new board's handle."""
    return start_beside_caller(DecisionBoard)
