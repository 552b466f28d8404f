"""What a network costs, counted on the meta device: no memory is allocated, nothing is computed."""

import functools
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from unetpp.config.sections.model import ModelConfig
from unetpp.models.build import build_model

__all__ = ["Cost", "count_cost"]


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
