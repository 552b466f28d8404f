"""What another hour of a sweep may find, by the best result so far as it grew with the trials."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import optuna

from unetpp.tuning.learning_curves import MIN_EPOCHS, expected
from unetpp.tuning.study.epochs import epoch_records, kept_levels
from unetpp.tuning.study.levels import headline
from unetpp.tuning.study.record import RAN, SAME_AS, own_trials

__all__ = ["NextHour", "next_hour"]

_HOUR_S = 3600.0


@dataclass(frozen=True)
class NextHour:
    """Of a sweep that goes on as it did."""

    trials: float
    """That end in an hour, at the pace so far."""
    chance: float
    """That one of them is better than all before, were all drawn alike: k / (n + k) of k after n."""
    gain: float
    """Quality by which the best is above today's then, by its curve over the trials."""

    def to_json(self) -> dict[str, Any]:
        """Plain numbers."""
        return asdict(self)


def next_hour(study: optuna.Study) -> NextHour | None:
    """None while too few trials have ended with a result, or it is not known how long they took."""
    qualities = [
        headline(kept).quality
        for trial in own_trials(study)
        if trial.state.is_finished()
        and SAME_AS not in trial.user_attrs
        and (kept := kept_levels(epoch_records(trial)))
    ]
    found = [quality for quality in qualities if math.isfinite(quality)]
    ran_s, count = float(study.user_attrs.get(RAN, 0.0)), len(found)
    if count < MIN_EPOCHS or ran_s <= 0:
        return None
    trials = count * _HOUR_S / ran_s
    best = [max(found[: number + 1]) for number in range(count)]
    then = expected(range(1, count + 1), best, count + trials)
    return NextHour(trials, trials / (count + trials), max(0.0, min(then, 1.0) - best[-1]))
