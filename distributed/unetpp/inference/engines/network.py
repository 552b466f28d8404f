"""What a predictor runs: the network of a run, or an exported file in whatever engine."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unetpp.core.manifest import Manifest
from unetpp.inference.engines.engine import Engine
from unetpp.models.deployed import for_inference, prediction_dtype
from unetpp.models.load import LoadedRun
from unetpp.models.output import ModelOutput

__all__ = ["Network", "network_of_engine", "network_of_run"]


@dataclass(frozen=True)
class Network:
    """A model of one head on its device, and what it takes in."""

    model: nn.Module
    """float32 (N, C, *size) as `normalise` leaves them to a `ModelOutput` of one level."""
    normalise: nn.Module
    """Of raw pixels."""
    manifest: Manifest
    """Of the training data."""
    window_px: tuple[int, ...]
    patch_px: tuple[int, ...]
    """Sides of the training crop."""
    level: int
    step: int
    """Optimiser steps of its checkpoint."""
    chosen: dict[str, list[int]]
    """See `LoadedRun.chosen`."""
    dtype: torch.dtype
    """In which autocast computes the model."""

    def autocast(self, device: torch.device) -> torch.autocast:
        """The context of a pass."""
        return torch.autocast(device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16)


def network_of_run(run: LoadedRun, device: torch.device) -> Network:
    """Of the deepest head, no other is computed."""
    level = run.model.supervised_levels[-1]
    pruned = run.model.at_level(level)
    return Network(
        model=for_inference(pruned, device),
        normalise=run.normalise.to(device),
        manifest=run.manifest,
        window_px=run.config.window_px,
        patch_px=run.config.patch_px,
        level=level,
        step=run.step,
        chosen=run.chosen,
        dtype=prediction_dtype(pruned, device),
    )


def network_of_engine(engine: Engine) -> Network:
    """An exported file normalises by itself, in the precision that it was given."""
    description = engine.description
    return Network(
        model=_OneLevel(engine, description.size_multiples),
        normalise=_Float(),
        manifest=description.manifest,
        window_px=description.window_px,
        patch_px=description.patch_px,
        level=description.level,
        step=description.step,
        chosen={},
        dtype=torch.float32,
    )


class _OneLevel(nn.Module):
    def __init__(self, engine: Engine, size_multiples: Sequence[int]) -> None:
        super().__init__()
        self.engine = engine
        self.size_multiples = size_multiples

    def forward(self, images: Tensor) -> ModelOutput:
        """Raw float32 (N, C, *size)."""
        return ModelOutput((self.engine.logits(images),), None)


class _Float(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        """Raw pixels of any dtype to float32."""
        return images.float()
