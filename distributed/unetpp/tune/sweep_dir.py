"""The files of one sweep, and reading it without Ray.

sweep.yaml         base configuration with the `tune` section
space/             the search space as it was run
study.db           the study, unless tune.storage names another place
trials/NNNN/       one run folder a trial, see core/rundir.py
confirm/           the runs of a confirmation and its result, see confirm.py
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from shlex import quote

import optuna
import yaml

from unetpp.config.load import parse_override, replace
from unetpp.config.run import RunConfig
from unetpp.core.errors import ConfigError, InputError
from unetpp.core.storage import Storage, open_storage
from unetpp.tune.optuna_logs import route_logs
from unetpp.tune.space import Space, load_space
from unetpp.tune.storage import existing_file, has_password, open_storage_url, shown_url
from unetpp.tune.study import SPACE_SOURCE

__all__ = [
    "SPACE_FOLDER",
    "SWEEP_CONFIG",
    "load_started",
    "load_sweep",
    "no_sweep",
    "read_base",
    "resume_command",
    "space_name",
    "study_name",
    "study_url",
]

SWEEP_CONFIG = "sweep.yaml"
SPACE_FOLDER = "space"


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
    config = read_base(folder)
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


def read_base(folder: Storage) -> RunConfig:
    """The base configuration of the sweep in a folder."""
    return RunConfig.model_validate(yaml.safe_load(folder.read(SWEEP_CONFIG)))


def load_started(uri: str, overrides: Sequence[str]) -> tuple[RunConfig, Space]:
    """What is needed to go on with a sweep, from its own folder; `overrides` change its configuration.

    Raises:
        InputError: no sweep there, or its study or its space is gone.
        ConfigError: an override is malformed.
        StorageError: the study's storage cannot be used.
    """
    config, study = load_sweep(uri)
    folder = open_storage(uri)
    # A moved folder keeps its study's name.
    kept = {"out": folder.uri, "name": "", "tune.study_name": study.study_name}
    config = replace(config, {**kept, **dict(map(parse_override, overrides))})
    main = space_name(folder, str(study.user_attrs[SPACE_SOURCE]))
    with tempfile.TemporaryDirectory(prefix="unetpp-space-") as copies:
        for path in folder.list(SPACE_FOLDER):
            (Path(copies) / path.rpartition("/")[2]).write_bytes(folder.read(path))
        return config, load_space(Path(copies) / main)


def space_name(folder: Storage, source: str) -> str:
    """The space's own file among the copies; its text is what the source begins with."""
    names = [path.rpartition("/")[2] for path in folder.list(SPACE_FOLDER)]
    texts = {name: folder.read(f"{SPACE_FOLDER}/{name}").decode() for name in names}
    found = [name for name, text in texts.items() if source.startswith(text)]
    return max(found, key=lambda name: len(texts[name]), default="space.py")


def resume_command(sweep_uri: str) -> str:
    """The command that goes on with a sweep."""
    return f"unetpp tune --resume {quote(sweep_uri)}"


def study_url(config: RunConfig, folder: Storage) -> str:
    """Where the study is kept.

    Raises:
        ConfigError: a URL holds a password, or there is none and the folder cannot hold an SQLite file.
    """
    for field, urls in (("storage", [config.tune.storage]), ("warm_start", config.tune.warm_start)):
        for url in urls:
            if url and has_password(url):
                raise ConfigError(
                    f"tune.{field}={shown_url(url)} must hold no password: it is kept with the sweep; give "
                    "it by PGPASSWORD, PGPASSFILE or what else the database's driver reads"
                )
    if config.tune.storage:
        return config.tune.storage
    if not folder.is_local:
        raise ConfigError(
            f"tune.storage must be set where out={folder.uri} is no local folder: SQLite needs one; "
            "use tune.storage=postgresql+psycopg://USER@HOST/DATABASE or sqlite:////PATH"
        )
    return f"sqlite:///{folder.local_path('study.db')}"


def study_name(config: RunConfig) -> str:
    """The study's name in its storage."""
    return config.tune.study_name or config.run_uri.rstrip("/").rsplit("/", 1)[-1]


def no_sweep(folder: Storage, fix: str) -> InputError:
    """The error for a folder without a sweep."""
    return InputError(f"no sweep at {folder.uri}: {SWEEP_CONFIG} is missing; {fix}")
