"""Trials whose configuration an earlier trial of the sweep has had: it is not trained again.

user attribute    value
config_sha256     of the planned configuration, see `planned_digest`
same_as           number of the earlier trial whose result the trial was given
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from unetpp.config.load import flatten
from unetpp.config.run import RunConfig
from unetpp.tuning.study.record import CONFIG_SHA256, SAME_AS

__all__ = ["Repeats", "planned_digest"]

_COMMON = ("out", "name", "tune", "scale", "data.uri", "data.cache_bytes", "data.cache_dir", "data.workers")
"""What does not tell the trials of a sweep apart."""

_DEPENDENT: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "loss.focal_gamma": ("loss.focal", bool),
    "loss.tversky_alpha": ("loss.tversky", bool),
    "loss.tversky_beta": ("loss.tversky", bool),
    "loss.distill_temperature": ("loss.distill", bool),
    "optim.momentum": ("optim.name", "sgd".__eq__),
    "optim.poly_power": ("optim.schedule", "poly".__eq__),
    "optim.encoder_lr_factor": ("model.encoder", "none".__ne__),
}
"""Fields that have an effect at some values of another one only."""


class Repeats:
    """Which trial has which configuration, and who waits for whose result."""

    def __init__(self, trials: Iterable[FrozenTrial]) -> None:
        self._first: dict[str, int] = {}
        self._waiting: dict[int, list[int]] = defaultdict(list)
        """By the trial that runs, those of its configuration."""
        for trial in trials:
            digest = trial.user_attrs.get(CONFIG_SHA256)
            if digest is not None and SAME_AS not in trial.user_attrs and trial.state != TrialState.FAIL:
                self._first.setdefault(digest, trial.number)

    def first(self, digest: str, number: int) -> int:
        """The first trial of a configuration, which is this one unless there was one before."""
        return self._first.setdefault(digest, number)

    def wait(self, number: int, *, for_: int) -> None:
        """Until the first trial has ended."""
        self._waiting[for_].append(number)

    def has_waiting(self, number: int) -> bool:
        """Whether others wait for a trial."""
        return number in self._waiting

    def take_waiting(self, number: int) -> list[int]:
        """Those that waited for a trial, which has ended now."""
        return self._waiting.pop(number)

    def failed(self, number: int) -> None:
        """A trial has no result: the next of its configuration is trained."""
        self._first = {digest: first for digest, first in self._first.items() if first != number}


def planned_digest(config: RunConfig) -> str:
    """Equal where two trials of one sweep would train the same network in the same way, seeds included.

    Fields without an effect do not count, nor does how rows are spelled that are all alike.

    Args:
        config: every `auto` decided.
    """
    values = {
        key: value
        for key, value in _plain(flatten(config)).items()
        if key not in _COMMON and key.partition(".")[0] not in _COMMON
    }
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same training in one spelling, where a field without an effect has its default."""
    defaults = flatten(RunConfig())
    idle = {
        name: defaults[name]
        for name, (other, has_effect) in _DEPENDENT.items()
        if not has_effect(values[other])
    }
    found = {**values, **idle}
    dilation, widths = found["model.dilation"], found["model.widths"]
    if not isinstance(dilation, int) and len(set(dilation)) == 1:
        found["model.dilation"] = dilation[0]
    if widths is not None:
        doubles = list(widths) == [widths[0] * 2**row for row in range(len(widths))]
        found["model.width"] = widths[0] if doubles else defaults["model.width"]
        found["model.widths"] = None if doubles else widths
    return found
