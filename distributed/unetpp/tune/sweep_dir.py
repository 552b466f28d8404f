"""The files of one sweep, and reading it without Ray.

sweep.yaml         base configuration with the `tune` section
space/             the search space as it was run
study.db           the study, unless tune.storage names another place
trials/NNNN/       one run folder a trial, see core/rundir.py
"""

import optuna
import yaml

from unetpp.config.run import RunConfig
from unetpp.core.errors import ConfigError, InputError
from unetpp.core.storage import Storage, open_storage
from unetpp.tune.optuna_logs import route_logs
from unetpp.tune.storage import existing_file, has_password, open_storage_url, shown_url

__all__ = ["SWEEP_CONFIG", "load_sweep", "no_sweep", "study_name", "study_url", "trial_uri"]

SWEEP_CONFIG = "sweep.yaml"


def load_sweep(uri: str) -> tuple[RunConfig, optuna.Study]:
    """The base configuration and the study of a sweep, running or not; a moved folder is read where it is.

    Raises:
        InputError: no sweep there, or its study is gone.
        StorageError: the study's storage cannot be used.
    """
    route_logs()
    folder = open_storage(uri)
    if not folder.exists(SWEEP_CONFIG):
        raise no_sweep(folder, "name the folder `unetpp tune` wrote")
    config = RunConfig.model_validate(yaml.safe_load(folder.read(SWEEP_CONFIG)))
    url, name = study_url(config, folder), study_name(config)
    # Opening an absent SQLite file would create an empty one.
    if not existing_file(url):
        raise InputError(
            f"the study of sweep {folder.uri} is missing: no file behind {shown_url(url)}; restore it"
        )
    try:
        return config, optuna.load_study(study_name=name, storage=open_storage_url(url))
    except KeyError as error:
        raise InputError(
            f"{shown_url(url)} has no study {name!r} of sweep {folder.uri}; restore its storage"
        ) from error


def trial_uri(sweep_uri: str, number: int) -> str:
    """A trial's run folder."""
    return f"{sweep_uri.rstrip('/')}/trials/{number:04d}"


def study_url(config: RunConfig, folder: Storage) -> str:
    """Where the study is kept.

    Raises:
        ConfigError: the URL holds a password, or there is none and the folder cannot hold an SQLite file.
    """
    if config.tune.storage:
        if has_password(config.tune.storage):
            raise ConfigError(
                f"tune.storage={shown_url(config.tune.storage)} must hold no password: it is kept with the "
                "sweep; give it by PGPASSWORD, ~/.pgpass or what else the database's driver reads"
            )
        return config.tune.storage
    if not folder.is_local:
        raise ConfigError(
            f"tune.storage must be set where out={folder.uri} is no local folder: SQLite needs one; "
            "use tune.storage=postgresql://HOST/NAME or sqlite:////PATH"
        )
    return f"sqlite:///{folder.local_path('study.db')}"


def study_name(config: RunConfig) -> str:
    """The study's name in its storage."""
    return config.tune.study_name or config.run_uri.rstrip("/").rsplit("/", 1)[-1]


def no_sweep(folder: Storage, fix: str) -> InputError:
    """The error for a folder without a sweep."""
    return InputError(f"no sweep at {folder.uri}: {SWEEP_CONFIG} is missing; {fix}")
