"""From places to the network that predicts: runs, exported files, several of them, and how they are used."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from unetpp.core.errors import ConfigError
from unetpp.core.folds_folder import FoldsFolder
from unetpp.core.rundir import RunDir
from unetpp.inference.engines.network import Network, network_of_engine, network_of_run
from unetpp.inference.engines.registry import is_export, load_engine
from unetpp.inference.ensemble.levels import MeanOfLevels, require_levels
from unetpp.inference.ensemble.members import ensemble_of
from unetpp.inference.ensemble.views import MeanOfViews, allowed_views
from unetpp.inference.masks.decide import decision_of
from unetpp.inference.masks.kept import kept_thresholds
from unetpp.models.load import load_run

__all__ = ["Averaging", "averaged", "load_member", "load_network", "refuse_repeated", "with_folds"]


@dataclass(frozen=True)
class Averaging:
    """What a prediction is the mean of, beside several networks, and what it tells."""

    tta: bool = False
    """Views: the flips and quarter turns that the training's augmentation had."""
    levels: bool = False
    """Levels of the nested network, up to the one that is asked for."""
    every_level: bool = False
    """Whether the network also gives its shallower levels, as far as it is no mean of levels or networks."""


_ALONE = Averaging()


def load_network(
    places: Sequence[str],
    *,
    level: int | None = None,
    dilation: Sequence[int] | None = None,
    averaging: Averaging = _ALONE,
    thresholds: tuple[float, ...] | None = None,
    min_object_px: int = 0,
    device: torch.device,
) -> Network:
    """The network of one place, or of several that predict together.

    Args:
        places: runs, files that `export` wrote, and cross-validations, of which every fold is a member.
        level: head of each; None for its deepest.
        dilation: see `load_run`; of a single run.
        averaging: what a prediction is the mean of.
        thresholds: see `decision_of`; None for those that are kept with the models.
        min_object_px: see `Decision`.
        device: where they predict.

    Raises:
        ConfigError: a level, a vector of dilations or a mean that a place does not have.
        InputError: there is no such place, it is damaged, or members differ.
        CheckpointError: a run has no usable checkpoint yet.
    """
    places = with_folds(places)
    refuse_repeated(places, dilation)
    every = averaging.levels or averaging.every_level
    members = [
        averaged(load_member(place, level, dilation, device, every_level=every), place, averaging)
        for place in places
    ]
    network = ensemble_of(members, places)
    decision = decision_of(thresholds, network.thresholds, min_object_px, network.manifest)
    return replace(network, decision=decision)


def load_member(
    place: str,
    level: int | None,
    dilation: Sequence[int] | None,
    device: torch.device,
    *,
    every_level: bool = False,
) -> Network:
    """The network of a run or of an exported file; see `load_network`."""
    if not is_export(place):
        run = load_run(place, level=level, dilation=dilation)
        network = network_of_run(run, device, every_level=every_level)
        # They were chosen for the run's own dilations.
        thresholds = () if dilation else kept_thresholds(RunDir(place), network.step, network.level)
        return replace(network, thresholds=thresholds)
    if dilation is not None:
        raise ConfigError(f"dilation={list(dilation)} chooses in a run; {place} holds one network")
    network = network_of_engine(load_engine(Path(place)))
    if level is not None and level != network.level:
        raise ConfigError(f"level={level} is not in {place}, which holds level {network.level}; export it")
    return network


def averaged(network: Network, place: str, averaging: Averaging) -> Network:
    """The same weights, used as often as the averaging says.

    Raises:
        ConfigError: the network has no further level, or was trained on images as they are.
    """
    task, dims = network.manifest.task, network.manifest.spatial_dims
    if averaging.levels:
        require_levels(len(network.levels), place)
        network = replace(network, model=MeanOfLevels(network.model, task, dims), levels=network.levels[-1:])
    if averaging.tta:
        views = allowed_views(network.symmetries, place)
        network = replace(network, model=MeanOfViews(network.model, views, task, dims))
    return network


def with_folds(places: Sequence[str]) -> list[str]:
    """The places, with the runs of its folds in place of each cross-validation."""
    found: list[str] = []
    for place in places:
        folder = None if is_export(place) else FoldsFolder(place)
        found += folder.fold_uris() if folder is not None and folder.exists() else [place]
    return found


def refuse_repeated(places: Sequence[str], dilation: Sequence[int] | None) -> None:
    """Refuse members that are one, and dilations of several.

    Raises:
        ConfigError: either is so.
    """
    if len(set(places)) < len(places):
        raise ConfigError(f"each member of an ensemble counts once; {_repeated(places)} is named twice")
    if dilation is not None and len(places) > 1:
        raise ConfigError(f"dilation={list(dilation)} chooses in one run; {len(places)} are named; name one")


def _repeated(places: Sequence[str]) -> str:
    return next(place for index, place in enumerate(places) if place in places[:index])
