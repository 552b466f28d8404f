"""The bookkeeping that rules with rungs share; which trials of a rung go on is theirs to say."""

import math
from collections.abc import Callable, Sequence

from unetpp.tune.levels import LevelResult, headline
from unetpp.tune.rungs.rule import Verdict

__all__ = ["Keeps", "Ladder"]

Keeps = Callable[[int, dict[int, list[LevelResult]]], bool]
"""Whether a trial goes on from a rung, given the results of all trials that reached it so far."""


class Ladder:
    """Each trial is judged once per rung, at its first report at or past the rung's epoch.

    Judging is asynchronous: a trial is compared with those that were there before it, so that none ever
    waits. A report that passes several rungs enters each and is judged at the last. A trial
    without a finite quality never goes on.
    """

    def __init__(self, rungs: Sequence[int], keeps: Keeps) -> None:
        self._keeps = keeps
        self._rungs: dict[int, dict[int, list[LevelResult]]] = {epoch: {} for epoch in rungs}
        self._stopped: set[int] = set()

    def decide(self, trial_id: int, epoch: int, levels: Sequence[LevelResult]) -> Verdict:
        """See `Rule.decide`."""
        if trial_id in self._stopped:
            return "stop"
        reached = None
        for rung, results in self._rungs.items():
            if rung <= epoch and trial_id not in results:
                results[trial_id] = list(levels)
                reached = results
        if reached is None or (math.isfinite(headline(levels).quality) and self._keeps(trial_id, reached)):
            return "continue"
        self._stopped.add(trial_id)
        return "stop"
