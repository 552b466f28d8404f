"""Population based training of the loss (Jaderberg et al., 2017, arXiv:1711.09846), asynchronous and exact.

Trials need not run at the same time: one is compared, at an epoch, with those that have reached that epoch
before it, and takes over weights of that very epoch. Step, schedule and order of the samples stay its own.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from unetpp.config.sections.loss import PIXEL_TERMS
from unetpp.core.seeds import rng
from unetpp.tuning.study.exploits import Exploit

__all__ = ["EXPLORED", "Population"]

EXPLORED = (*PIXEL_TERMS, "distill", "image")
"""Weights of the loss that are drawn anew; its other fields are the donor's."""
_FACTORS = (0.8, 1.2)


@dataclass
class _Member:
    peers: str
    loss: Mapping[str, Any]
    """At the start."""
    qualities: dict[int, float] = field(default_factory=dict)
    """By validated epoch, in order."""
    exploits: list[Exploit] = field(default_factory=list)

    def loss_of(self, epoch: int) -> Mapping[str, Any]:
        """With which the epoch was trained."""
        changed = [exploit.after for exploit in self.exploits if exploit.epoch < epoch]
        return changed[-1] if changed else self.loss

    def gave_up(self, epoch: int) -> bool:
        """Whether its own weights of the epoch are gone."""
        return any(exploit.epoch == epoch for exploit in self.exploits)


class Population:
    """Who takes over whose weights.

    At every validation at or past a multiple of the interval, a trial among the worst 1/factor of those that
    have reached the epoch takes over one of the best 1/factor, drawn at random; each weight of the loss that
    is not 0 is then multiplied by 0.8 or 1.2.

    Args:
        interval: epochs between two decisions about a trial.
        factor: see above; 2 or more.
        max_epochs: nothing is decided after the last one.
        seed: of the draws, which are a pure function of it, the trial and the epoch.
    """

    def __init__(self, interval: int, factor: int, max_epochs: int, seed: int) -> None:
        self._interval, self._factor, self._max_epochs, self._seed = interval, factor, max_epochs, seed
        self._members: dict[int, _Member] = {}

    def __contains__(self, trial: int) -> bool:
        """Whether the trial has joined."""
        return trial in self._members

    def last_exploit(self, trial: int) -> Exploit | None:
        """Of a trial that has joined."""
        return next(reversed(self._members[trial].exploits), None)

    def join(self, trial: int, peers: str, loss: Mapping[str, Any]) -> None:
        """A trial begins; `peers` is the same for all whose weights and optimiser it could go on with."""
        self._members.setdefault(trial, _Member(peers, loss))

    def enter(self, trial: int, epoch: int, quality: float, exploit: Exploit | None = None) -> None:
        """Remember what a trial reached, and what was decided then."""
        member = self._members.get(trial)
        if member is None:
            return
        member.qualities[epoch] = quality
        if exploit is not None:
            member.exploits.append(exploit)

    def decide(self, trial: int, epoch: int, quality: float) -> Exploit | None:
        """Whether a trial that has reached an epoch goes on as another one; nothing is remembered."""
        member = self._members.get(trial)
        if member is None or not self._is_due(member, epoch):
            return None
        others = {
            number: other.qualities[epoch]
            for number, other in self._members.items()
            if number != trial and other.peers == member.peers
            if math.isfinite(other.qualities.get(epoch, math.nan))
        }
        places = (len(others) + 1) // self._factor
        ranked = sorted(others, key=lambda number: (-others[number], number))
        ahead = len(ranked) if not math.isfinite(quality) else sum(q > quality for q in others.values())
        best = [number for number in ranked[:places] if not self._members[number].gave_up(epoch)]
        if ahead <= len(others) - places or not best:
            return None
        generator = rng("population", self._seed, trial, epoch)
        donor = best[int(generator.integers(len(best)))]
        after = _explored(self._members[donor].loss_of(epoch), generator)
        return Exploit(epoch, donor, dict(member.loss_of(epoch)), after)

    def _is_due(self, member: _Member, epoch: int) -> bool:
        before = max((known for known in member.qualities if known < epoch), default=0)
        return epoch < self._max_epochs and epoch // self._interval > before // self._interval


def _explored(loss: Mapping[str, Any], generator: np.random.Generator) -> dict[str, Any]:
    drawn = generator.choice(_FACTORS, size=len(EXPLORED))
    changed = {name: loss[name] * float(factor) for name, factor in zip(EXPLORED, drawn, strict=True)}
    return {**loss, **changed}
