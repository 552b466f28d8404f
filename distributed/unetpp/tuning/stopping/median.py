"""The median stopping rule (Golovin et al., Google Vizier, 2017)."""

import bisect
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from unetpp.tuning.study.epochs import Verdict
from unetpp.tuning.study.levels import LevelResult, headline

__all__ = ["MedianRule"]

_MIN_OTHERS = 3
"""Fewer curves than this have no median worth the name."""


@dataclass
class _Curve:
    """One trial's qualities so far."""

    epoch: int = 0
    """The last one reported."""
    count: int = 0
    total: float = 0.0
    best: float = -math.inf

    @property
    def mean(self) -> float:
        return self.total / self.count


class MedianRule:
    """A trial stops if its best quality so far is below the median of the others' mean quality so far.

    The others are those that have reached the same epoch. No trial stops in its first `grace_epochs`.
    """

    def __init__(self, grace_epochs: int, max_epochs: int) -> None:
        self._grace_epochs, self._max_epochs = grace_epochs, max_epochs
        self._curves: dict[int, _Curve] = defaultdict(_Curve)
        self._means: dict[int, list[float]] = defaultdict(list)
        """By epoch, the mean quality up to it of each trial that has reached it, ascending."""
        self._stopped: set[int] = set()

    def decide(self, trial_id: int, epoch: int, levels: Sequence[LevelResult]) -> Verdict:
        """See `Rule.decide`."""
        if trial_id in self._stopped:
            return "stop"
        if epoch <= self._curves[trial_id].epoch:
            return "continue"
        bar = _median(self._means[epoch])
        self._enter(trial_id, epoch, levels)
        judged = self._grace_epochs <= epoch < self._max_epochs
        if not judged or self._curves[trial_id].best >= bar:
            return "continue"
        self._stopped.add(trial_id)
        return "stop"

    def enter(self, trial_id: int, epoch: int, levels: Sequence[LevelResult], verdict: Verdict) -> None:
        """See `Rule.enter`."""
        if epoch > self._curves[trial_id].epoch:
            self._enter(trial_id, epoch, levels)
        if verdict == "stop":
            self._stopped.add(trial_id)

    def _enter(self, trial_id: int, epoch: int, levels: Sequence[LevelResult]) -> None:
        curve = self._curves[trial_id]
        if curve.count:
            # It has reached the epochs between that were not validated too, with the mean it had.
            for between in range(curve.epoch + 1, epoch):
                bisect.insort(self._means[between], curve.mean)
        found = headline(levels).quality
        quality = found if math.isfinite(found) else -math.inf
        curve.epoch, curve.count = epoch, curve.count + 1
        curve.total, curve.best = curve.total + quality, max(curve.best, quality)
        bisect.insort(self._means[epoch], curve.mean)


def _median(ascending: Sequence[float]) -> float:
    if len(ascending) < _MIN_OTHERS:
        return -math.inf
    middle = len(ascending) // 2
    if len(ascending) % 2:
        return ascending[middle]
    return (ascending[middle - 1] + ascending[middle]) / 2
