"""What a predictor runs: the network of a run, or an exported file in whatever engine."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unetpp.config.symmetries import Symmetries
from unetpp.core.manifest import Manifest
from unetpp.inference.engines.engine import Engine
from unetpp.models.deployed import for_inference, prediction_dtype
from unetpp.models.load import LoadedRun
from unetpp.models.output import ModelOutput

__all__ = ["Network", "RawPixels", "network_of_engine", "network_of_run"]


@dataclass(frozen=True)
class Network:
    """A model on its device, and what it takes in."""

    model: nn.Module
    """float32 (N, C, *size) as `normalise` leaves them to a `ModelOutput`; its last level predicts."""
    normalise: nn.Module
    """Of raw pixels."""
    manifest: Manifest
    """Of the training data."""
    window_px: tuple[int, ...]
    patch_px: tuple[int, ...]
    """Sides of the training crop."""
    levels: tuple[int, ...]
    """What the model computes, shallow to deep."""
    step: int
    """Optimiser steps of its checkpoint."""
    chosen: dict[str, list[int]]
    """See `LoadedRun.chosen`."""
    dtype: torch.dtype
    """In which autocast computes the model."""
    symmetries: Symmetries | None
    """Of its training; None of a file that does not say."""
    data_uri: str
    """Where the training data lies; empty of a file."""
    image_classes: int = 0
    """Of its image-level head."""
    thresholds: tuple[float, ...] = ()
    """Chosen on validation images and kept with the model, see `Decision`."""

    @property
    def level(self) -> int:
        """The head that predicts."""
        return self.levels[-1]

    def autocast(self, device: torch.device) -> torch.autocast:
        """The context of a pass."""
        return torch.autocast(device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16)


def network_of_run(run: LoadedRun, device: torch.device, *, every_level: bool = False) -> Network:
    """Of the deepest head, no other is computed unless every level is asked for."""
    levels = run.model.supervised_levels if every_level else run.model.supervised_levels[-1:]
    model = run.model if every_level else run.model.at_level(levels[-1])
    return Network(
        model=for_inference(model, device),
        normalise=run.normalise.to(device),
        manifest=run.manifest,
        window_px=run.config.window_px,
        patch_px=run.config.patch_px,
        levels=tuple(levels),
        step=run.step,
        chosen=run.chosen,
        dtype=prediction_dtype(model, device),
        symmetries=Symmetries.of(run.config.augment, run.manifest.spatial_dims),
        data_uri=run.config.data.uri,
        image_classes=int(run.config.model.image_classes),
    )


def network_of_engine(engine: Engine) -> Network:
    """An exported file normalises by itself, in the precision that it was given."""
    description = engine.description
    return Network(
        model=_OneLevel(engine, description.size_multiples),
        normalise=RawPixels(),
        manifest=description.manifest,
        window_px=description.window_px,
        patch_px=description.patch_px,
        levels=(description.level,),
        step=description.step,
        chosen={},
        dtype=torch.float32,
        symmetries=description.symmetries,
        data_uri="",
        thresholds=description.thresholds,
    )


class _OneLevel(nn.Module):
    def __init__(self, engine: Engine, size_multiples: Sequence[int]) -> None:
        super().__init__()
        self.engine = engine
        self.size_multiples = size_multiples

    def forward(self, images: Tensor) -> ModelOutput:
        """Raw float32 (N, C, *size)."""
        return ModelOutput((self.engine.logits(images),), None)


class RawPixels(nn.Module):
    """In place of a normalisation where the model does it."""

    def forward(self, images: Tensor) -> Tensor:
        """Raw pixels of any dtype to float32."""
        return images.float()
