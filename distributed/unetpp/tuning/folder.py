"""The files of one sweep, and reading it without Ray.

sweep.yaml         base configuration with the `tune` section
dataset.json       the dataset manifest that every trial reads
space/             the search space as it was run
study.db           the study, unless tune.storage names another place; see study/file.py
owners/            which process works on the sweep, see core/ownership/ownership.py
trials/NNNN/       one run folder a trial, see core/rundir.py
confirm/           the runs of a confirmation and its result, see confirm.py
"""

from collections.abc import Sequence
from pathlib import Path

import optuna
import yaml

from unetpp.config.load import flatten, given_fields, parse_override, replace
from unetpp.config.planning.resolve import Decision
from unetpp.config.run import RunConfig
from unetpp.config.stored import stored_config
from unetpp.core.errors import ConfigError, InputError
from unetpp.core.manifest import Manifest
from unetpp.core.places import DATASET_COPY, SWEEP_CONFIG, misplaced, trial_uri
from unetpp.core.rundir import RunDir
from unetpp.core.storage import Storage, open_storage
from unetpp.data.dataset.manifests import load_manifest, require_shards
from unetpp.tuning.kept_space import kept_space
from unetpp.tuning.optuna_logs import route_logs
from unetpp.tuning.space.space import Space, load_space
from unetpp.tuning.study.file import driver_file, reader_file
from unetpp.tuning.study.storage import (
    existing_file,
    has_password,
    is_database_url,
    open_storage_url,
    shown_url,
)
from unetpp.tuning.study.study import SPACE_SHA256, SPACE_SOURCE

__all__ = [
    "changes_since",
    "load_started",
    "load_sweep",
    "no_sweep",
    "read_base",
    "read_dataset",
    "reading_url",
    "require_no_password",
    "started_config",
    "study_name",
    "study_url",
    "write_dataset",
]


def load_sweep(uri: str) -> tuple[RunConfig, optuna.Study]:
    """The base configuration and the study of a sweep, running or not; a moved folder is read where it is.

    Raises:
        InputError: no sweep there, or its study is gone.
        StorageError: the study's storage cannot be used.
    """
    route_logs()
    folder = open_storage(uri)
    if not folder.exists(SWEEP_CONFIG):
        raise no_sweep(folder, "name the folder `unetpp tune` wrote; without --resume a new one starts")
    config = read_base(folder)
    url, name = reading_url(config, folder), study_name(config)
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
    return stored_config(yaml.safe_load(folder.read(SWEEP_CONFIG)), folder.uri)


def write_dataset(folder: Storage, manifest: Manifest) -> None:
    """Keep the version of the dataset that the sweep starts with."""
    folder.write(DATASET_COPY, manifest.model_dump_json(indent=1).encode())


def read_dataset(folder: Storage, data: Storage) -> Manifest:
    """The version of the dataset that the sweep was started with, whatever was packed since.

    Raises:
        InputError: shards of it are gone.
    """
    if folder.exists(DATASET_COPY):
        manifest = Manifest.model_validate_json(folder.read(DATASET_COPY))
    elif (first := RunDir(trial_uri(folder.uri, 0))).exists():
        # Started by a release that kept it with the trials only.
        manifest = first.read_dataset()
    else:
        manifest = load_manifest(data)
    fix = "start a new sweep on the current version with another out="
    require_shards(data, manifest, ("train", "val"), fix=fix)
    return manifest


def load_started(
    uri: str, overrides: Sequence[str], own_space: Path | None = None
) -> tuple[RunConfig, Space]:
    """What is needed to go on with a sweep: its configuration, changed by `overrides`, and its space.

    Args:
        own_space: the user's file of the space; else the folder's copy is used, see `kept_space`.

    Raises:
        InputError: no sweep there, its study or its space is gone, or the copy may not be run.
        ConfigError: an override is malformed, or the copy is not the study's space.
        StorageError: the study's storage cannot be used.
    """
    config, study = load_sweep(uri)
    folder = open_storage(uri)
    # A moved folder keeps its study's name.
    kept = {"out": folder.uri, "name": "", "tune.study_name": study.study_name}
    config = replace(config, {**kept, **dict(map(parse_override, overrides))})
    if own_space is not None:
        return config, load_space(own_space)
    return config, kept_space(
        folder, str(study.user_attrs[SPACE_SHA256]), str(study.user_attrs[SPACE_SOURCE])
    )


def started_config(config: RunConfig) -> RunConfig:
    """The configuration of the sweep at `out` with what was given on top; as it is where no sweep is."""
    folder = open_storage(config.run_uri)
    if not folder.exists(SWEEP_CONFIG):
        return config
    kept = read_base(folder)
    # A moved folder keeps its study's name.
    places = {"out": folder.uri, "name": ""}
    return replace(kept, {"tune.study_name": study_name(kept), **given_fields(config), **places})


def changes_since(config: RunConfig) -> tuple[Decision, ...]:
    """The fields in which a configuration differs from that of the sweep at `out`, with what they were."""
    kept, new = flatten(read_base(open_storage(config.run_uri))), flatten(config)
    return tuple(
        Decision(key, value, f"was {kept[key]}")
        for key, value in new.items()
        if value != kept[key] and key not in ("out", "name", "tune.study_name")
    )


def study_url(config: RunConfig, folder: Storage) -> str:
    """Where the sweep's driver keeps the study.

    Raises:
        ConfigError: a URL holds a password.
    """
    require_no_password(config)
    return config.tune.storage or f"sqlite:///{driver_file(folder)}"


def reading_url(config: RunConfig, folder: Storage) -> str:
    """Where everybody else reads the study: a copy of the published file where the folder is not local."""
    return config.tune.storage or f"sqlite:///{reader_file(folder)}"


def require_no_password(config: RunConfig) -> None:
    """Check the URLs that are kept with the sweep.

    Raises:
        ConfigError: one holds a password.
    """
    earlier = [url for url in config.tune.warm_start if is_database_url(url)]
    for field, urls in (("storage", [config.tune.storage]), ("warm_start", earlier)):
        for url in urls:
            if url and has_password(url):
                raise ConfigError(
                    f"tune.{field}={shown_url(url)} must hold no password: it is kept with the sweep; give "
                    "it by PGPASSWORD, PGPASSFILE or what else the database's driver reads"
                )


def study_name(config: RunConfig) -> str:
    """The study's name in its storage."""
    return config.tune.study_name or config.run_uri.rstrip("/").rsplit("/", 1)[-1]


def no_sweep(folder: Storage, fix: str) -> InputError:
    """The error for a folder without a sweep."""
    missing = misplaced(folder, "sweep") or f"no sweep at {folder.uri}: {SWEEP_CONFIG} is missing"
    return InputError(f"{missing}; {fix}")
