"""Warm start: the trials a study starts with, the base configuration and what earlier studies found."""

import logging
import math
import warnings
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import FixedTrial, FrozenTrial, TrialState, create_trial

from unetpp.compat.optuna import contains
from unetpp.config.load import flatten
from unetpp.config.run import RunConfig
from unetpp.core.errors import ConfigError, InputError
from unetpp.tuning.folder import load_sweep
from unetpp.tuning.space.space import SearchSpace
from unetpp.tuning.study.epochs import epoch_records
from unetpp.tuning.study.exploits import recorded_exploits
from unetpp.tuning.study.record import IS_DEFAULT, WARM_START_OF
from unetpp.tuning.study.storage import existing_file, is_database_url, open_storage_url, shown_url
from unetpp.tuning.study.study import CONFIG_ATTR

__all__ = ["enqueue_default", "warm_start"]

logger = logging.getLogger(__name__)
_REL_TOLERANCE = 1e-9
_COMPARABLE = ("tune.metric", "tune.objectives")


def enqueue_default(study: optuna.Study, space: SearchSpace, config: RunConfig) -> bool:
    """Queue the base configuration as the study's first trial; False where it lies outside the space.

    The space is asked with the configuration's own values: a parameter is taken to be the field of its
    name, `field.index` to be a list's entry and `field.variant` to be the field. What the space then
    returns must be the base configuration again; nothing is moved into the space. What lies outside is
    logged. A study that has trials is left as it is.
    """
    if study.get_trials(deepcopy=False):
        return False
    fields = flatten(config)
    asked = FixedTrial(_ByField(fields))
    try:
        values = _call(space, asked)
        outside = _outside(asked) or [
            f"{key}={fields[key]}, which the space makes {value}"
            for key, value in values.items()
            if key not in space.answers and not _agrees(fields[key], value)
        ]
    except (ConfigError, ValueError) as error:
        line = str(error).partition(": ")[0]
        outside = [str(error) if error.__cause__ is None else f"{line}: {error.__cause__}".rstrip(".")]
    if outside:
        logger.info(
            "no trial is the base configuration, which lies outside the space: %s; choose its values "
            "inside to have it as the first trial",
            "; ".join(outside),
        )
        return False
    # With fields that the space decides by itself it is not the base configuration, but the nearest to it.
    study.enqueue_trial(asked.params, user_attrs={} if space.answers else {IS_DEFAULT: True})
    return True


def warm_start(study: optuna.Study, urls: Sequence[str], space: SearchSpace) -> int:
    """Add finished trials of all studies behind the URLs whose parameters fit the space; returns how many.

    They teach the sampler, and count neither as trials of the sweep nor on its leaderboard. What was added
    before is not added again.

    Raises:
        StorageError: a URL cannot be used.
        InputError: nothing is there, or a study has another metric or other objectives.
    """
    added = 0
    known = {trial.user_attrs.get(WARM_START_OF) for trial in study.get_trials(deepcopy=False)}
    for url in urls:
        for source in _studies(url, study):
            for trial in source.get_trials(deepcopy=False):
                name = f"{source.study_name}#{trial.number} in {shown_url(url)}"
                copied = None if name in known else _fitting(trial, name, space)
                if copied is not None:
                    study.add_trial(copied)
                    added += 1
    logger.info("%d earlier trials warm-start the study", added)
    return added


class _ByField(dict[str, Any]):
    """Config values by parameter name, see `enqueue_default`."""

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or super().__contains__(str(name).rpartition(".")[0])

    def __missing__(self, name: str) -> Any:
        field, _, last = name.rpartition(".")
        value = self[field]
        if isinstance(value, list) and last.isdigit() and int(last) < len(value):
            return value[int(last)]
        return value


def _ask(space: SearchSpace, params: dict[str, Any]) -> tuple[FrozenTrial, dict[str, Any]]:
    """The trial that has these parameters, and what the space makes of it.

    Raises:
        ConfigError, ValueError: a parameter is missing or outside its range.
    """
    asked = FixedTrial(params)
    values = _call(space, asked)
    trial = create_trial(
        state=TrialState.PRUNED, params=asked.params, distributions=dict(asked.distributions)
    )
    return trial, values


def _call(space: SearchSpace, asked: FixedTrial) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a value out of range is found by looking at it
        return space(asked)


def _outside(asked: FixedTrial) -> list[str]:
    """Parameters whose value is none that the space offers, and what it does offer."""
    found = []
    for name, offered in asked.distributions.items():
        # A value that is none of a list's has been refused by the trial itself.
        if isinstance(offered, IntDistribution | FloatDistribution):
            value, step = asked.params[name], offered.step
            if not contains(offered, value):
                by = f" by {step:g}" if step not in (None, 1) else ""
                found.append(f"{name}={value} is not in {offered.low:g} to {offered.high:g}{by}")
    return found


def _agrees(field: Any, value: Any) -> bool:
    """Whether a returned value means what the field holds; one number may stand for a list's every entry."""
    if isinstance(value, list | tuple):
        entries = field if isinstance(field, list) else [field] * len(value)
        return len(entries) == len(value) and all(
            _agrees(left, right) for left, right in zip(entries, value, strict=True)
        )
    if isinstance(field, float) and isinstance(value, float):
        return math.isclose(field, value, rel_tol=_REL_TOLERANCE)
    return bool(field == value)


def _studies(url: str, study: optuna.Study) -> list[optuna.Study]:
    found: list[optuna.Study] = []
    if not is_database_url(url):
        found = [load_sweep(url)[1]]
    elif existing_file(url):
        storage = open_storage_url(url)
        names = optuna.get_all_study_names(storage)
        found = [optuna.load_study(study_name=name, storage=storage) for name in names]
    if not found:
        raise InputError(
            f"tune.warm_start names no study: {shown_url(url)} has none; correct the URL or leave it out"
        )
    now = study.user_attrs[CONFIG_ATTR]
    for source in found:
        before = source.user_attrs.get(CONFIG_ATTR, {})
        for key in _COMPARABLE:
            if before.get(key) != now[key]:
                raise InputError(
                    f"tune.warm_start needs studies of the same {key}={now[key]}; study "
                    f"{source.study_name!r} in {shown_url(url)} has {before.get(key)}; leave it out"
                )
    return found


def _fitting(trial: FrozenTrial, name: str, space: SearchSpace) -> FrozenTrial | None:
    """The trial as one of this study; None where it is unfinished, infeasible there, or does not fit.

    Nor does one that went on with another trial's weights.
    """
    if trial.state not in (TrialState.COMPLETE, TrialState.PRUNED):
        return None
    if any(value > 0 for value in trial.constraints.values()):
        return None
    if recorded_exploits(trial, epoch_records(trial)):
        return None  # its result is not that of its parameters
    try:
        asked, _ = _ask(space, trial.params)
    except (ConfigError, ValueError):
        return None
    if asked.params.keys() != trial.params.keys():
        return None
    return create_trial(
        state=trial.state,
        values=trial.values,
        params=asked.params,
        distributions=asked.distributions,
        intermediate_values=trial.intermediate_values,
        user_attrs={WARM_START_OF: name},
    )
