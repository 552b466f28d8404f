"""What a network costs and which sub-networks are the same one, found on the meta device.

No memory is allocated there and nothing is computed.
"""

import functools
import hashlib
import json
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from unetpp.config.dilations import Network
from unetpp.config.sections.model import ModelConfig
from unetpp.models.build import build_model
from unetpp.models.unetpp import UNetPlusPlus

__all__ = ["Cost", "count_cost", "level_signatures", "network_signatures"]

_LEFT_OUT = ("dropout", "size_multiple")
"""Of a signature: what acts in training only, and what is in the padded sides."""


@dataclass(frozen=True)
class Cost:
    """Cost of one level's pruned network for one image."""

    params: int
    macs: int
    """Multiply-accumulates of the convolutions in one forward pass."""


@functools.lru_cache(maxsize=256)
def count_cost(config: ModelConfig, size_px: tuple[int, ...]) -> dict[int, Cost]:
    """Cost of every supervised level for an image of that size.

    Raises:
        ConfigError: see `build_model`.
    """
    with torch.device("meta"):
        model = build_model(config)
    image = torch.empty((1, model.config["in_channels"], *size_px), device="meta")
    return {level: _cost(model.at_level(level), image) for level in model.supervised_levels}


def _cost(model: nn.Module, image: Tensor) -> Cost:
    with FlopCounterMode(display=False) as flops:
        model(image)
    params = sum(parameter.numel() for parameter in model.parameters())
    return Cost(params, flops.get_total_flops() // 2)


@functools.lru_cache(maxsize=256)
def level_signatures(config: ModelConfig, size_px: tuple[int, ...]) -> dict[int, str]:
    """A hash for every supervised level: equal where inference computes the same, but for its weights.

    Level k of a deep network and the whole of one of depth k are the same where their first rows agree.

    Raises:
        ConfigError: see `build_model`.
    """
    with torch.device("meta"):
        model = build_model(config)
    return _signatures(model, size_px)


@functools.lru_cache(maxsize=64)
def network_signatures(config: ModelConfig, size_px: tuple[int, ...]) -> dict[Network, str]:
    """The same of every network that a training holds; of several vectors of dilations it is built once.

    Raises:
        ConfigError: see `build_model`.
    """
    if not config.shared_dilations:
        return {(level, None): found for level, found in level_signatures(config, size_px).items()}
    with torch.device("meta"):
        model = build_model(config)
    signatures: dict[Network, str] = {}
    for vector in config.shared_dilations:
        model.set_dilation(vector)
        for level, found in _signatures(model, size_px).items():
            signatures[level, vector[: level + 1]] = found
    return signatures


def _signatures(model: UNetPlusPlus, size_px: tuple[int, ...]) -> dict[int, str]:
    found = {}
    for level in model.supervised_levels:
        arguments = model.level_config(level)
        options = {name: value for name, value in arguments.items() if name not in _LEFT_OUT}
        sides = zip(size_px, arguments["size_multiple"], strict=True)
        padded_px = [-(-side // multiple) * multiple for side, multiple in sides]
        text = json.dumps([options, size_px, padded_px], sort_keys=True)
        found[level] = hashlib.sha256(text.encode()).hexdigest()
    return found
