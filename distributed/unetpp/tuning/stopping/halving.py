"""Asynchronous successive halving (Li et al., 2020, arXiv:1810.05934), in the form that stops trials."""

import bisect
from collections.abc import Sequence
from functools import partial

from unetpp.tuning.stopping.rule import rung_epochs
from unetpp.tuning.stopping.rungs import Ladder
from unetpp.tuning.study.levels import LevelResult, costs, headline

__all__ = ["AshaRule"]


class AshaRule(Ladder):
    """A trial goes on from a rung if its quality is among the best 1/factor of those that reached it.

    The best so far always goes on, so the first trial of a rung does. Equals are in the order they came.
    """

    def __init__(self, grace_epochs: int, reduction_factor: int, max_epochs: int) -> None:
        super().__init__(
            rung_epochs(grace_epochs, reduction_factor, max_epochs), partial(_Rung, reduction_factor)
        )


class _Rung:
    def __init__(self, reduction_factor: int) -> None:
        self._reduction_factor = reduction_factor
        self._costs: list[tuple[float, ...]] = []
        """Of each trial, ascending."""
        self._ahead = 0

    def enter(self, levels: Sequence[LevelResult]) -> None:
        cost = costs(headline(levels), ("quality",))
        self._ahead = bisect.bisect_right(self._costs, cost)
        self._costs.insert(self._ahead, cost)

    def keeps_last(self) -> bool:
        return self._ahead < max(1, len(self._costs) // self._reduction_factor)
