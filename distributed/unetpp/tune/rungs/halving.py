"""Asynchronous successive halving (Li et al., 2020, arXiv:1810.05934), in the form that stops trials."""

from unetpp.tune.levels import LevelResult, costs, headline
from unetpp.tune.rungs.ladder import Ladder
from unetpp.tune.rungs.rule import rung_epochs

__all__ = ["AshaRule"]


class AshaRule(Ladder):
    """A trial goes on from a rung if its quality is among the best 1/factor of those that reached it.

    The best so far always goes on, so the first trial of a rung does. Equals are in the order they came.
    """

    def __init__(self, grace_epochs: int, reduction_factor: int, max_epochs: int) -> None:
        super().__init__(rung_epochs(grace_epochs, reduction_factor, max_epochs), self._is_among_best)
        self._reduction_factor = reduction_factor

    def _is_among_best(self, trial_id: int, results: dict[int, list[LevelResult]]) -> bool:
        cost = {trial: costs(headline(levels), ("quality",)) for trial, levels in results.items()}
        better = sum(other <= cost[trial_id] for trial, other in cost.items() if trial != trial_id)
        return better < max(1, len(results) // self._reduction_factor)
