"""What a predictor runs: the network of a run, or an exported file in whatever engine."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unetpp.config.symmetries import Symmetries
from unetpp.core.manifest import Manifest
from unetpp.inference.engines.engine import Engine
from unetpp.inference.masks.decide import PLAIN, Decision
from unetpp.models.deployed import autocast_to, for_inference, prediction_dtype
from unetpp.models.inference import AT_ONCE, predict_logits
from unetpp.models.load import LoadedRun
from unetpp.models.output import ModelOutput

__all__ = ["Network", "RawPixels", "network_of_engine", "network_of_run"]

_CPU_AT_ONCE_PX = 4 * 128 * 128
"""bf16, width 16, depth 3, AVX-512: 8 images of 96 px take 0.82 of the time in batches of 4, of 128 px 0.91,
of 256 px 1.19."""


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
    at_once_px: int
    """Pixels of small images that share a pass; 0 where each has its own."""
    symmetries: Symmetries | None
    """Of its training; None of a file that does not say."""
    data_uri: str
    """Where the training data lies; empty of a file."""
    image_classes: int = 0
    """Of its image-level head."""
    thresholds: tuple[float, ...] = ()
    """Chosen on validation images and kept with the model."""
    decision: Decision = PLAIN
    """How its logits are read."""

    @property
    def level(self) -> int:
        """The head that predicts."""
        return self.levels[-1]

    def autocast(self, device: torch.device) -> torch.autocast:
        """The context of a pass."""
        return autocast_to(self.dtype, device)

    def outputs(self, images: Tensor) -> ModelOutput:
        """Of raw pixels (N, C, *size) where the model is; large ones window by window."""
        with self.autocast(images.device):
            return predict_logits(
                self.model, self.normalise(images), window_px=self.window_px, least_px=self.patch_px
            )


def network_of_run(run: LoadedRun, device: torch.device, *, every_level: bool = False) -> Network:
    """Of the deepest head, no other is computed unless every level is asked for."""
    levels = run.model.supervised_levels if every_level else run.model.supervised_levels[-1:]
    model = run.model if every_level else run.model.at_level(levels[-1])
    dtype = prediction_dtype(model, device)
    return Network(
        model=for_inference(model, device),
        normalise=run.normalise.to(device),
        manifest=run.manifest,
        window_px=run.config.window_px,
        patch_px=run.config.patch_px,
        levels=tuple(levels),
        step=run.step,
        chosen=run.chosen,
        dtype=dtype,
        at_once_px=_at_once_px(run.config.window_px, dtype, device),
        symmetries=Symmetries.of(run.config.augment, run.manifest.spatial_dims),
        data_uri=run.config.data.uri,
        image_classes=int(run.config.model.image_classes),
    )


def _at_once_px(window_px: Sequence[int], dtype: torch.dtype, device: torch.device) -> int:
    """As many as windows of a large image are computed at once on a GPU, few on a CPU, whose caches hold few.

    None on a CPU in float32: there a lone small image takes another algorithm than several, which changes the
    last bits.
    """
    if device.type == "cuda":
        return AT_ONCE * math.prod(window_px)
    return _CPU_AT_ONCE_PX if dtype == torch.bfloat16 else 0


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
        at_once_px=0,
        data_uri="",
        thresholds=description.thresholds,
    )


class _OneLevel(nn.Module):
    def __init__(self, engine: Engine, size_multiples: Sequence[int]) -> None:
        super().__init__()
        self.engine = engine
        self.size_multiples = size_multiples

    def forward(self, images: Tensor) -> ModelOutput:
        """Raw float32 (N, C, *size); logits come back to where the images are."""
        return ModelOutput((self.engine.logits(images).to(images.device),), None)


class RawPixels(nn.Module):
    """In place of a normalisation where the model does it."""

    def forward(self, images: Tensor) -> Tensor:
        """Raw pixels of any dtype to float32."""
        return images.float()
