"""A sweep's Optuna study: created once, and reopened only for the same question."""

import json
import logging
from typing import Any

import optuna
from optuna.study import StudyDirection

from unetpp.config.load import config_hash, flatten
from unetpp.config.run import RunConfig
from unetpp.config.sections.tune import ObjectiveName
from unetpp.core.errors import ConfigError
from unetpp.tuning.optuna_logs import route_logs
from unetpp.tuning.space.files import difference
from unetpp.tuning.space.space import Space
from unetpp.tuning.study.samplers import build_sampler
from unetpp.tuning.study.storage import open_storage_url, shown_url

__all__ = ["CONFIG_ATTR", "SPACE_SHA256", "SPACE_SOURCE", "directions", "objectives_of", "open_study"]

logger = logging.getLogger(__name__)

SPACE_SHA256 = "space_sha256"
SPACE_SOURCE = "space_source"
CONFIG_ATTR = "base_config"
"""User attribute with the base configuration as far as it must not change."""
_CONFIG_HASH = "base_config_hash"

_MAY_CHANGE = (
    *("out", "name", "tune", "data.cache_bytes", "data.cache_dir", "data.labels", "data.workers"),
    *("scale.address", "scale.autoscaling", "scale.cpus_per_worker", "scale.gpus_per_worker"),
    *("scale.labels", "scale.max_failures"),
)
"""Sections and fields that may differ between two starts of one sweep."""
_MUST_STAY = (
    *("tune.metric", "tune.objectives", "tune.one_shot", "tune.candidates", "tune.inherit"),
    "tune.scheduler",
)
_ANY_OTHER = "any but pbt"


def open_study(storage_url: str, name: str, *, space: Space, config: RunConfig) -> optuna.Study:
    """Create the study, or load it if it asks the same question.

    The space and the base configuration are kept with it as user attributes. The sampler, objectives and
    seed are those of `config.tune`; a reopened study goes on with fresh random numbers.

    Raises:
        StorageError: the storage cannot be used.
        ConfigError: the study exists with another space or base configuration; the difference is shown.
    """
    route_logs()
    storage = open_storage_url(storage_url)
    study = optuna.create_study(
        storage=storage, study_name=name, directions=directions(config), load_if_exists=True
    )
    where = f"study {name!r} in {shown_url(storage_url)}"
    drawn = len(study.get_trials(deepcopy=False))
    if _CONFIG_HASH in study.user_attrs:
        _require_same(study, space, config, where)
        logger.info("continuing %s with %d trials", where, drawn)
    elif drawn:
        raise ConfigError(f"{where} was not started by unetpp and has trials; give another tune.study_name=")
    else:
        study.set_user_attr(SPACE_SOURCE, space.source)
        study.set_user_attr(SPACE_SHA256, space.sha256)
        study.set_user_attr(CONFIG_ATTR, _fixed_fields(config))
        # Last: its presence says that the others are there.
        study.set_user_attr(_CONFIG_HASH, config_hash(config))
    tune = config.tune
    study.sampler = build_sampler(tune.sampler, tune.seed, len(tune.objectives), drawn=drawn)
    return study


def directions(config: RunConfig) -> list[StudyDirection]:
    """Quality upwards, everything else downwards."""
    return [
        StudyDirection.MAXIMIZE if name == "quality" else StudyDirection.MINIMIZE
        for name in config.tune.objectives
    ]


def objectives_of(study: optuna.Study) -> tuple[ObjectiveName, ...]:
    """What the study optimises, in the order of its values."""
    return tuple(study.user_attrs[CONFIG_ATTR]["tune.objectives"])


def _require_same(study: optuna.Study, space: Space, config: RunConfig, where: str) -> None:
    stored = study.user_attrs
    fix = "continue with the former, or give another out= or tune.study_name="
    if stored[SPACE_SHA256] != space.sha256:
        diff = difference(stored[SPACE_SOURCE], space.source, str(space.path))
        raise ConfigError(f"{where} was started with another search space; {fix}\n{diff}")
    # A field that an earlier release did not have was as it is by default.
    before, now = _fixed_fields(RunConfig()) | stored[CONFIG_ATTR], _fixed_fields(config)
    changed = [
        f"  {key}: {_shown(before, key)} -> {_shown(now, key)}"
        for key in sorted(before.keys() | now.keys())
        # An earlier release kept some that may change since.
        if _must_stay(key) and _shown(before, key) != _shown(now, key)
    ]
    if changed:
        raise ConfigError(f"{where} was started with another configuration; {fix}\n" + "\n".join(changed))


def _fixed_fields(config: RunConfig) -> dict[str, Any]:
    """Of `tune.scheduler` only whether trials are a population: they keep what others may take over."""
    fixed = {key: value for key, value in flatten(config).items() if _must_stay(key)}
    if config.tune.scheduler != "pbt":
        fixed["tune.scheduler"] = _ANY_OTHER
    return fixed


def _must_stay(key: str) -> bool:
    return key in _MUST_STAY or not (key in _MAY_CHANGE or key.partition(".")[0] in _MAY_CHANGE)


def _shown(fields: dict[str, Any], key: str) -> str:
    return json.dumps(fields[key]) if key in fields else "(absent)"
