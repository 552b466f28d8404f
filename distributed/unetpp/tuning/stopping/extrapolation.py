"""Stops a trial that can hardly get anywhere any more, by its own curves rather than by its rank."""

import math
from collections import defaultdict
from collections.abc import Sequence

from unetpp.config.dilations import Network
from unetpp.config.sections.tune import ObjectiveName
from unetpp.tuning.learning_curves import MIN_EPOCHS, chance_above
from unetpp.tuning.study.epochs import Verdict, better_kept
from unetpp.tuning.study.levels import LevelResult, costs, headline

__all__ = ["ExtrapolationRule"]

_LEAST_CHANCE = 0.05


class ExtrapolationRule:
    """A trial stops when none of its networks has a chance of 5 % to be on the front after the last epoch.

    The front is that of what the other trials have by now: with one objective their best quality. No trial
    stops in its first `grace_epochs`, nor before a curve can be told (`MIN_EPOCHS` validations); one without
    a finite quality stops after the former.
    """

    def __init__(self, objectives: Sequence[ObjectiveName], grace_epochs: int, max_epochs: int) -> None:
        self._objectives, self._grace_epochs, self._max_epochs = objectives, grace_epochs, max_epochs
        self._epoch: dict[int, int] = defaultdict(int)
        """By trial, the last one reported."""
        self._curves: dict[int, dict[Network, tuple[list[int], list[float]]]] = defaultdict(dict)
        """By trial and network, the epochs and qualities of its finite results."""
        self._kept: dict[int, Sequence[LevelResult]] = defaultdict(list)
        self._stopped: set[int] = set()

    def decide(self, trial_id: int, epoch: int, levels: Sequence[LevelResult]) -> Verdict:
        """See `Rule.decide`."""
        if trial_id in self._stopped:
            return "stop"
        if epoch <= self._epoch[trial_id]:
            return "continue"
        self._enter(trial_id, epoch, levels)
        if not self._grace_epochs <= epoch < self._max_epochs or self._can_reach(trial_id, levels):
            return "continue"
        self._stopped.add(trial_id)
        return "stop"

    def enter(self, trial_id: int, epoch: int, levels: Sequence[LevelResult], verdict: Verdict) -> None:
        """See `Rule.enter`."""
        if epoch > self._epoch[trial_id]:
            self._enter(trial_id, epoch, levels)
        if verdict == "stop":
            self._stopped.add(trial_id)

    def _enter(self, trial_id: int, epoch: int, levels: Sequence[LevelResult]) -> None:
        self._epoch[trial_id] = epoch
        self._kept[trial_id] = better_kept(self._kept[trial_id], levels)
        for found in levels:
            if math.isfinite(found.quality):
                epochs, qualities = self._curves[trial_id].setdefault(found.network, ([], []))
                epochs.append(epoch)
                qualities.append(found.quality)

    def _can_reach(self, trial_id: int, levels: Sequence[LevelResult]) -> bool:
        if not math.isfinite(headline(levels).quality):
            return False
        others = [
            costs(found, self._objectives)
            for other, kept in self._kept.items()
            if other != trial_id
            for found in kept
        ]
        # The best first: it mostly settles the question.
        ranked = sorted(self._curves[trial_id], key=lambda network: -self._curves[trial_id][network][1][-1])
        priced = {found.network: found for found in levels}
        return any(
            network in priced and self._may_lead(self._curves[trial_id][network], priced[network], others)
            for network in ranked
        )

    def _may_lead(
        self,
        curve: tuple[list[int], list[float]],
        network: LevelResult,
        others: Sequence[tuple[float, ...]],
    ) -> bool:
        epochs, qualities = curve
        bar = self._bar(network, others)
        if len(epochs) < MIN_EPOCHS or max(qualities) > bar:
            return True
        return chance_above(epochs, qualities, self._max_epochs, bar) >= _LEAST_CHANCE

    def _bar(self, network: LevelResult, others: Sequence[tuple[float, ...]]) -> float:
        """The quality above which nothing that the others have is better in all objectives."""
        at = self._objectives.index("quality")
        price = _without(costs(network, self._objectives), at)
        beaten = [
            -point[at]
            for point in others
            if all(theirs <= own for theirs, own in zip(_without(point, at), price, strict=True))
        ]
        return max(beaten, default=-math.inf)


def _without(values: tuple[float, ...], at: int) -> tuple[float, ...]:
    return values[:at] + values[at + 1 :]
