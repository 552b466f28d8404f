"""Bookkeeping of early-stopping rules with rungs; which trials of a rung go on is the rung's to say."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from unetpp.tuning.study.epochs import Verdict
from unetpp.tuning.study.levels import LevelResult, headline

__all__ = ["Ladder", "Rung"]


class Rung(Protocol):
    """The results of all trials that reached one epoch."""

    def enter(self, levels: Sequence[LevelResult]) -> None:
        """Take in what one more trial has there."""
        ...

    def keeps_last(self) -> bool:
        """Whether the trial that was entered last goes on."""
        ...


class Ladder:
    """Each trial is judged once per rung, at its first report at or past the rung's epoch.

    Judging is asynchronous: a trial is compared with those that were there before it, so that none ever
    waits. A report that passes several rungs enters each and is judged at the last. A trial
    without a finite quality never goes on.
    """

    def __init__(self, epochs: Iterable[int], rung: Callable[[], Rung]) -> None:
        self._rungs = [(epoch, rung()) for epoch in epochs]
        self._passed: dict[int, int] = {}
        """By trial, the number of rungs that it has entered."""
        self._stopped: set[int] = set()

    def decide(self, trial_id: int, epoch: int, levels: Sequence[LevelResult]) -> Verdict:
        """See `Rule.decide`."""
        if trial_id in self._stopped:
            return "stop"
        reached = self._enter(trial_id, epoch, levels)
        if reached is None or (math.isfinite(headline(levels).quality) and reached.keeps_last()):
            return "continue"
        self._stopped.add(trial_id)
        return "stop"

    def enter(self, trial_id: int, epoch: int, levels: Sequence[LevelResult], verdict: Verdict) -> None:
        """See `Rule.enter`."""
        self._enter(trial_id, epoch, levels)
        if verdict == "stop":
            self._stopped.add(trial_id)

    def _enter(self, trial_id: int, epoch: int, levels: Sequence[LevelResult]) -> Rung | None:
        """The last rung that the report reaches, if it reaches one."""
        reached = None
        passed = self._passed.get(trial_id, 0)
        for rung_epoch, rung in self._rungs[passed:]:
            if rung_epoch > epoch:
                break
            rung.enter(levels)
            passed, reached = passed + 1, rung
        self._passed[trial_id] = passed
        return reached
