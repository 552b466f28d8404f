"""From a configuration to the folds of a cross-validation: groups dealt, folder claimed, a part for each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unetpp.config import RunConfig, given_fields, load_config, replace
from unetpp.core.errors import ConfigError, ExistsError, InputError
from unetpp.core.folds_folder import FoldsFolder, FoldsPlan
from unetpp.core.manifest import Manifest
from unetpp.core.places import require_free_of_others
from unetpp.core.rundir import RunDir
from unetpp.core.storage import open_storage, preflight
from unetpp.data.dataset.manifests import load_manifest
from unetpp.data.dataset.scorable import require_scorable
from unetpp.data.stream.folds import count_rows, deal_groups, fold_view, row_groups
from unetpp.training.run.prepare import readable_dataset

__all__ = ["Folds", "new_folds", "resumed_folds"]

_OF_ONE_TRAINING = {"train.folds": 0, "name": ""}
_OF_THE_MACHINE = ("scale.", "data.cache_bytes")
"""Decided by each fold for where it is trained."""


@dataclass(frozen=True)
class Folds:
    """A cross-validation that is begun."""

    folder: FoldsFolder
    plan: FoldsPlan
    manifest: Manifest
    """Of the whole dataset."""
    groups: Mapping[str, Sequence[str]]
    """See `row_groups`."""
    given: Mapping[str, Any]
    """Fields that the command gave beside `--resume`."""

    def view(self, fold: int) -> Manifest:
        """The dataset as the fold sees it."""
        return fold_view(self.manifest, self.groups, self.plan.groups, fold)

    def new_config(self, fold: int) -> RunConfig:
        """Of a fold that was not begun: as was given, and what was decided as the first fold decided it."""
        config = replace(load_config(None), {**self.plan.config, **self.given})
        first = RunDir(self.folder.fold_uri(0))
        decided: dict[str, Any] = {}
        if fold and first.exists():
            named = {entry["field"]: entry["value"] for entry in first.read_decisions()}
            decided = {key: value for key, value in named.items() if not key.startswith(_OF_THE_MACHINE)}
        return replace(config, {**decided, **_OF_ONE_TRAINING, "out": self.folder.fold_uri(fold)})

    def resumed_config(self, fold: int) -> RunConfig:
        """Of a fold that goes on: what the command gave."""
        return replace(load_config(None), {**self.given, "out": self.folder.fold_uri(fold), "name": ""})


def new_folds(config: RunConfig) -> Folds:
    """Deal the groups of the dataset and write the plan.

    Raises:
        ConfigError: there are fewer groups than folds.
        InputError: the dataset cannot be used, or a fold could not be scored.
        ExistsError: something was started or packed at the place.
        StorageError: the dataset or the folder cannot be used.
    """
    dataset = readable_dataset(config)
    manifest = load_manifest(dataset)
    groups = row_groups(dataset, manifest)
    number, seed = config.train.folds, config.data.seed
    fold_of = deal_groups(count_rows(groups), number, seed)
    given = {**given_fields(config), "data.uri": dataset.uri}
    folder = FoldsFolder(config.run_uri)
    found = Folds(folder, FoldsPlan(number, seed, fold_of, given), manifest, groups, {})
    for fold in range(number):
        try:
            require_scorable(dataset, found.view(fold))
        except InputError as error:
            fix = f"use fewer folds than train.folds={number}, or another data.seed"
            raise InputError(f"fold {fold} cannot validate: {error}; or {fix}") from error
    preflight(folder.storage, write=True)
    _require_new(folder)
    folder.create(found.plan, manifest)
    return found


def resumed_folds(config: RunConfig) -> Folds:
    """The cross-validation at the configured place, with what the command changes.

    Raises:
        ConfigError: the command gives another number of folds.
        InputError: the dataset that it was dealt from cannot be read.
    """
    folder = FoldsFolder(config.run_uri)
    plan, manifest = folder.read_plan(), folder.read_dataset()
    given = {key: value for key, value in given_fields(config).items() if key not in ("out", "name")}
    if given.pop("train.folds", plan.folds) != plan.folds:
        raise ConfigError(
            f"--resume goes on with the {plan.folds} folds at {folder.uri}; leave train.folds out, or start "
            "anew with another out="
        )
    uri = str(given.get("data.uri", plan.config["data.uri"]))
    return Folds(folder, plan, manifest, row_groups(open_storage(uri), manifest), given)


def _require_new(folder: FoldsFolder) -> None:
    """A plan of which no fold was begun is replaced: a mistake in the configuration was told after it."""
    begun = [uri for uri in folder.fold_uris() if RunDir(uri).exists()] if folder.exists() else []
    if begun:
        raise ExistsError(
            f"a cross-validation exists at {folder.uri}; use --resume to go on with it or another out= for "
            "a new one"
        )
    require_free_of_others(folder.storage, "cross-validation")
