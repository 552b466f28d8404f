"""The median stopping rule (Golovin et al., Google Vizier, 2017)."""

import math
import statistics
from collections.abc import Sequence

from unetpp.tune.levels import LevelResult, headline
from unetpp.tune.rungs.rule import Verdict

__all__ = ["MedianRule"]

_MIN_OTHERS = 3
"""Fewer curves than this have no median worth the name."""


class MedianRule:
    """A trial stops if its best quality so far is below the median of the others' mean quality so far.

    The others are those that have reached the same epoch. No trial stops in its first `grace_epochs`.
    """

    def __init__(self, grace_epochs: int, max_epochs: int) -> None:
        self._grace_epochs, self._max_epochs = grace_epochs, max_epochs
        self._curves: dict[int, dict[int, float]] = {}
        self._stopped: set[int] = set()

    def decide(self, trial_id: int, epoch: int, levels: Sequence[LevelResult]) -> Verdict:
        """See `Rule.decide`."""
        if trial_id in self._stopped:
            return "stop"
        curve = self._curves.setdefault(trial_id, {})
        if epoch in curve:
            return "continue"
        quality = headline(levels).quality
        curve[epoch] = quality if math.isfinite(quality) else -math.inf
        if not self._grace_epochs <= epoch < self._max_epochs:
            return "continue"
        others = [
            statistics.fmean(value for at, value in other.items() if at <= epoch)
            for trial, other in self._curves.items()
            if trial != trial_id and max(other) >= epoch and min(other) <= epoch
        ]
        if len(others) < _MIN_OTHERS or max(curve.values()) >= statistics.median(others):
            return "continue"
        self._stopped.add(trial_id)
        return "stop"
