"""A space whose depth and dilations are not searched trial by trial: one network holds them all.

The trial is asked for everything else. Depth is the largest that the space offers, whose levels are the
others; the vectors of dilations are all that the space makes at that depth, or as many as are wanted.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna

from unetpp.config.dilations import Dilation
from unetpp.config.run import RunConfig
from unetpp.core.errors import ConfigError
from unetpp.tuning.space.space import SearchSpace, Space
from unetpp.tuning.space.spread import spread

__all__ = ["SharedSpace", "search_space"]

_DEPTH, _DILATION, _SHARED = "model.depth", "model.dilation", "model.shared_dilations"
_MOST_CALLS = 4096
"""Of a space for one trial: it is called once for each combination of its dilations."""


def search_space(space: Space, config: RunConfig) -> SearchSpace:
    """The space as `tune.one_shot` has it."""
    if config.tune.one_shot == "depth":
        return space
    return SharedSpace(space, config.model.depth, config.tune.candidates)


@dataclass(frozen=True)
class SharedSpace:
    """Asks a space for every vector of dilations at its largest depth."""

    space: Space
    depth: int | str
    """Of the base configuration, for a space that does not set it."""
    candidates: int
    """Most vectors."""

    @property
    def path(self) -> Path:
        """Of the space's file."""
        return self.space.path

    @property
    def answers(self) -> frozenset[str]:
        """Depth and dilations."""
        return frozenset((_DEPTH, _DILATION, _SHARED))

    def __call__(self, trial: optuna.trial.BaseTrial) -> dict[str, Any]:
        """See `Space.__call__`; `model.shared_dilations` has the vectors.

        Raises:
            ConfigError: the space does not search dilations, or something else depends on them.
        """
        found: dict[Dilation, dict[str, Any]] = {}
        pruned: optuna.TrialPruned | None = None
        for answering in _combinations(trial, self.path.name):
            try:
                values = dict(self.space(answering))
            except optuna.TrialPruned as error:
                pruned = error
                continue
            found[self._vector(values)] = values
        if not found:
            assert pruned is not None
            raise pruned
        return self._joined(found)

    def _vector(self, values: dict[str, Any]) -> Dilation:
        """Taken out of the values."""
        depth, dilation = values.get(_DEPTH, self.depth), values.pop(_DILATION, None)
        if dilation is None:
            raise ConfigError(
                f"{self.path.name}: tune.one_shot=depth+dilation needs a space that returns {_DILATION}; "
                "this one does not; use tune.one_shot=depth"
            )
        if not isinstance(dilation, int):
            return tuple(dilation)
        if not isinstance(depth, int):
            raise ConfigError(
                f"tune.one_shot=depth+dilation needs the number of rows that share a dilation; "
                f"{_DEPTH}={depth}; give a number"
            )
        return (dilation,) * (depth + 1)

    def _joined(self, found: dict[Dilation, dict[str, Any]]) -> dict[str, Any]:
        name, (first, *others) = self.path.name, list(found)
        if not others:
            raise ConfigError(
                f"{name}: tune.one_shot=depth+dilation needs a space with several {_DILATION}; this one has "
                f"{list(first)} alone; use tune.one_shot=depth"
            )
        for vector in others:
            for key in sorted(found[first].keys() | found[vector].keys()):
                one, other = found[first].get(key), found[vector].get(key)
                if one != other:
                    raise ConfigError(
                        f"{name}: {key} must not depend on the dilations, which share one network with "
                        f"tune.one_shot=depth+dilation; it is {one} at {list(first)} and {other} at "
                        f"{list(vector)}; search it without them"
                    )
        vectors = spread(list(found), self.candidates)
        return {**found[first], _DILATION: list(vectors[0]), _SHARED: [list(vector) for vector in vectors]}


class _Answering:
    """A trial, but for the depth, which is the largest, and the dilations, whose choices are given."""

    def __init__(self, trial: optuna.trial.BaseTrial, known: dict[str, Any], choices: Sequence[int]) -> None:
        self._trial, self._known, self._choices = trial, known, choices
        self._answers: dict[str, Any] = {}
        self.counts: list[int] = []
        """How many choices each dilation had."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._trial, name)

    @property
    def params(self) -> dict[str, Any]:
        return {**self._trial.params, **self._answers}

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        if self._is_answered(name):
            return int(self._answer(name, range(low, high + 1, step)))
        return int(self._once(name, lambda: self._trial.suggest_int(name, low, high, step=step, log=log)))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        if self._is_answered(name):
            return self._answer(name, choices)
        return self._once(name, lambda: self._trial.suggest_categorical(name, choices))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        return float(self._once(name, lambda: self._trial.suggest_float(name, low, high, step=step, log=log)))

    def _is_answered(self, name: str) -> bool:
        return name in (_DEPTH, _DILATION) or name.startswith(f"{_DILATION}.")

    def _answer(self, name: str, offered: Sequence[Any]) -> Any:
        if name not in self._answers:
            if name == _DEPTH:
                self._answers[name] = max(offered)
            else:
                position = len(self.counts)
                self.counts.append(len(offered))
                chosen = self._choices[position] if position < len(self._choices) else 0
                self._answers[name] = offered[chosen]
        return self._answers[name]

    def _once(self, name: str, ask: Any) -> Any:
        """What a study is asked for costs a read of its storage."""
        if name not in self._known:
            self._known[name] = ask()
        return self._known[name]


def _combinations(trial: optuna.trial.BaseTrial, name: str) -> Iterator[Any]:
    """A trial for each combination of dilations; which there are shows as the space asks for them.

    Raises:
        ConfigError: there are too many.
    """
    known: dict[str, Any] = {}
    choices: list[int] = []
    for _ in range(_MOST_CALLS):
        answering = _Answering(trial, known, choices)
        yield answering
        # Like an odometer: the last dilation that has another choice takes it, and those after it begin anew.
        taken = choices + [0] * (len(answering.counts) - len(choices))
        while taken and taken[-1] + 1 >= answering.counts[len(taken) - 1]:
            taken.pop()
        if not taken:
            return
        choices = [*taken[:-1], taken[-1] + 1]
    raise ConfigError(
        f"{name}: tune.one_shot=depth+dilation takes at most {_MOST_CALLS} combinations of dilations; this "
        "space has more; offer fewer choices or fix some rows"
    )
