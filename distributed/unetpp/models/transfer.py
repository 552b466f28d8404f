"""Weights of an earlier run, an export or another file for a network: by name and shape."""

import logging
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import safetensors
import safetensors.torch
from torch import Tensor

from unetpp.core.errors import CheckpointError, ConfigError, InputError, StorageError
from unetpp.core.rundir import RunDir
from unetpp.core.storage import open_storage
from unetpp.models.load import EMA_FILE, MODEL_FILE

__all__ = ["Transfer", "fit", "read_weights"]

logger = logging.getLogger(__name__)

_SUFFIX = ".safetensors"
_WRAPPERS = re.compile(r"^((module|model|network|_orig_mod)\.)+")
"""What training loops and wrappers put in front of a network's own names."""
_HEADS = ("heads.", "image_head.")
_SHOWN = 4
_FEW = 0.5
"""Share of the weights below which the network is likely to be another one."""


@dataclass(frozen=True)
class Transfer:
    """What of a source a network starts with."""

    weights: dict[str, Tensor]
    """By the network's own names."""
    told: str
    """What was taken, what starts at random and what was left out, with reasons."""


def read_weights(uri: str) -> dict[str, Tensor]:
    """The tensors of a run's best checkpoint, averaged ones where it kept them, or of a safetensors file.

    Raises:
        InputError: there is neither.
        CheckpointError: the run has no checkpoint that verifies.
    """
    if uri.endswith(_SUFFIX):
        folder, _, name = open_storage(uri).uri.rpartition("/")
        try:
            return safetensors.torch.load(open_storage(folder).read(name))
        except (safetensors.SafetensorError, FileNotFoundError, StorageError) as error:
            raise InputError(f"train.init={uri} must be a safetensors file: {error}") from error
    run = RunDir(uri)
    if not run.exists():
        raise InputError(
            f"train.init={uri} must be a run's folder or end in {_SUFFIX}; no run is there; name the folder "
            "that `unetpp train` wrote or the file that `unetpp export` wrote"
        )
    found = run.checkpoints.best()
    if found is None:
        raise CheckpointError(f"run {uri} has no usable checkpoint yet; let it finish an epoch first")
    return safetensors.torch.load(found[1].get(EMA_FILE, found[1][MODEL_FILE]))


def fit(source: str, given: Mapping[str, Tensor], network: Mapping[str, Tensor]) -> Transfer:
    """Take what has the name and the shape of a tensor of the network.

    Args:
        source: what to call it.
        given: its tensors.
        network: those that are to be filled; their values do not matter.

    Raises:
        ConfigError: no convolution of the network but those of its heads is among them.
    """
    named = {_WRAPPERS.sub("", name): tensor for name, tensor in given.items()}
    taken = {
        name: named[name].to(own.dtype)
        for name, own in network.items()
        if name in named and named[name].shape == own.shape
    }
    other = [name for name in named if name in network and name not in taken]
    reasons = [f"{name} ({_shape(named[name])} there, {_shape(network[name])} here)" for name in other]
    if not any(tensor.ndim > 1 and not name.startswith(_HEADS) for name, tensor in taken.items()):
        raise ConfigError(
            f"train.init={source} must hold a convolution with the name and the shape of one here; it has "
            f"none{': ' + _some(reasons) if reasons else ''}; set model.* as that network was built"
        )
    share = _count(taken.values()) / _count(network.values())
    if share < _FEW:
        logger.warning(
            "train.init=%s gives %.0f %% of the weights, all others start at random; "
            "set model.* as that network was built",
            source,
            100 * share,
        )
    random = [name for name in network if name not in named]
    unknown = [name for name in named if name not in network]
    parts = [
        f"{_count(taken.values())} of {_count(network.values())} weights are those of {source}",
        f"at random for another shape: {_some(reasons)}" if reasons else "",
        f"at random as it has none: {_some(random)}" if random else "",
        f"left out: {_some(unknown)}" if unknown else "",
    ]
    return Transfer(taken, "; ".join(part for part in parts if part))


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"


def _count(tensors: Iterable[Tensor]) -> int:
    return sum(math.prod(tensor.shape) for tensor in tensors)


def _some(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
