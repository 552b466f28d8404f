"""Thresholds chosen by a validation split and kept with the run."""

from collections.abc import Sequence
from typing import Any

from unetpp.core.errors import ConfigError
from unetpp.core.rundir import RunDir
from unetpp.inference.engines.network import Network
from unetpp.inference.engines.registry import is_export
from unetpp.inference.ensemble.load import Averaging
from unetpp.inference.evaluation.options import EvaluateOptions
from unetpp.inference.masks.kept import keep_thresholds
from unetpp.inference.robustness.disturbance import Disturbance
from unetpp.objective.offsets import OffsetSearch
from unetpp.objective.thresholds import ThresholdSearch

__all__ = ["check_fitting", "keep_fitted"]


def check_fitting(
    networks: Sequence[Network], places: Sequence[str], split: str | None, options: EvaluateOptions
) -> str:
    """The split by which thresholds are chosen: `val` unless another is named.

    Raises:
        ConfigError: several models or an exported file, a mean, changed images, objects, or the test split.
    """
    if len(places) > 1 or is_export(places[0]):
        raise ConfigError("thresholds are chosen for one run and kept in it; name one run, then export it")
    if options.averaging != Averaging():
        raise ConfigError(
            "thresholds are chosen for the network as it is; leave --tta and --average-levels out"
        )
    if options.disturbance != Disturbance():
        raise ConfigError("thresholds are chosen for images as they are; leave --attack and --corruption out")
    if networks[0].manifest.instances is not None:
        raise ConfigError("thresholds are of classes; this model tells objects apart by their borders")
    if networks[0].chosen:
        raise ConfigError("thresholds are kept for one network; this run's weights are shared by several")
    if split == "test":
        raise ConfigError(
            "thresholds chosen by the test split would flatter its scores; choose them by --split val"
        )
    return "val" if split is None else split


def keep_fitted(
    network: Network, place: str, split: str, search: ThresholdSearch | OffsetSearch | None
) -> list[dict[str, Any]]:
    """Keep the best thresholds with the run; name, threshold, dice and dice_at_half of each class."""
    assert search is not None
    thresholds = search.best()
    keep_thresholds(RunDir(place), network.step, network.level, thresholds, split)
    names = [entry.name for entry in network.manifest.classes]
    found = search.dice(thresholds)
    halves = search.dice((0.5,) * len(names))
    columns = zip(names, thresholds, found, halves, strict=True)
    return [dict(zip(("name", "threshold", "dice", "dice_at_half"), row, strict=True)) for row in columns]
