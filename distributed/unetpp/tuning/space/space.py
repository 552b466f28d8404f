"""A define-by-run search space, loaded by path and checked before a sweep trusts it."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import optuna

from unetpp.config.fields import dotted_fields, nearest_field
from unetpp.config.run import RunConfig
from unetpp.core.errors import ConfigError, StorageError
from unetpp.tuning.optuna_logs import route_logs
from unetpp.tuning.space.apply import apply
from unetpp.tuning.space.files import (
    SourceFile,
    SpaceFunction,
    digest,
    execute,
    joined_source,
    read_sources,
    user_line,
)

__all__ = ["SearchSpace", "Space", "check_space", "load_space", "random_draws"]

_CHECK_DRAWS = 20


class SearchSpace(Protocol):
    """Gives a trial its values."""

    @property
    def path(self) -> Path:
        """Of its file."""
        ...

    @property
    def answers(self) -> frozenset[str]:
        """Fields that it decides by itself, the same for every trial."""
        ...

    def __call__(self, trial: optuna.trial.BaseTrial) -> dict[str, Any]:
        """See `Space.__call__`."""
        ...


@dataclass(frozen=True)
class Space:
    """`space(trial)` with its source; pickled by source, so that it runs where its file is not."""

    path: Path
    files: tuple[SourceFile, ...]
    """The space file and the neighbours it loads."""
    function: SpaceFunction = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "function", execute(self.path, self.files))

    def __reduce__(self) -> tuple[Any, ...]:
        return Space, (self.path, self.files)

    @property
    def answers(self) -> frozenset[str]:
        """None: every trial is asked for each value."""
        return frozenset()

    @property
    def source(self) -> str:
        """Text of the space file; neighbours follow under a line with their name."""
        return joined_source(self.files)

    @property
    def sha256(self) -> str:
        """Digest of all files; of a single one what `sha256sum` says."""
        return digest(self.files)

    def __call__(self, trial: optuna.trial.BaseTrial) -> dict[str, Any]:
        """Dotted config fields and their values for one trial.

        Raises:
            ConfigError: the function raises, returns no dictionary, or names an unknown field.
            optuna.TrialPruned: the function gives the trial up.
            StorageError: the study's storage does not answer.
        """
        name = self.path.name
        try:
            values = self.function(trial)
        except (optuna.TrialPruned, StorageError):
            raise
        except Exception as error:
            where = user_line(error, [name for name, _ in self.files])
            raise ConfigError(
                f"{where}: space(trial) must not raise; it raised {type(error).__name__}: {error}"
            ) from error
        if not isinstance(values, dict):
            raise ConfigError(
                f"{name}: space(trial) must return a dict of config fields; it returned "
                f'{type(values).__name__}; for example return {{"model.depth": 3}}'
            )
        for key in values:
            if key not in dotted_fields():
                raise ConfigError(f"{name}: unknown key {key!r}; did you mean {nearest_field(str(key))}?")
        return values


def load_space(path: str | Path) -> Space:
    """Read and run a space file.

    Raises:
        InputError: the file is missing or no text.
        ConfigError: it has a syntax error, raises or has no `space`.
    """
    resolved = Path(path).resolve()
    return Space(resolved, read_sources(resolved))


def random_draws(space: SearchSpace, draws: int = _CHECK_DRAWS) -> Iterator[dict[str, Any]]:
    """Values of so many trials at random; those that the space gives up are passed over."""
    for _, values in _drawn(space, draws):
        yield values


def check_space(space: SearchSpace, config: RunConfig, *, draws: int = _CHECK_DRAWS) -> None:
    """Draw at random and apply each draw to the base configuration, so that mistakes show before a trial.

    Raises:
        ConfigError: see `Space.__call__` and `apply`; the message names the file and the draw.
    """
    for trial, values in _drawn(space, draws):
        try:
            apply(config, values)
        except ConfigError as error:
            raise ConfigError(f"{space.path.name}: {error} (drawn: {_shown(trial.params)})") from error


def _drawn(space: SearchSpace, draws: int) -> Iterator[tuple[optuna.Trial, dict[str, Any]]]:
    route_logs()
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(draws):
        trial = study.ask()
        with suppress(optuna.TrialPruned):
            yield trial, space(trial)


def _shown(params: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in params.items())
