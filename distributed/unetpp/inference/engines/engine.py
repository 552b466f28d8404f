"""What every engine offers, and what every exported file says of itself.

Shapes: N images, C channels, K classes; a size is height and width, behind planes for volumes.
"""

import json
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from unetpp.config.symmetries import Symmetries
from unetpp.core.errors import InputError
from unetpp.core.manifest import Manifest

__all__ = ["KEY", "Compute", "Description", "Engine", "read_description"]

Compute = Literal["fastest", "float32", "bfloat16"]
"""The fastest is bf16 where the device has units for it."""

KEY = "unetpp"
"""Under which a file's metadata holds its description."""


class Description(BaseModel):
    """Written into an exported file as JSON; a `.safetensors` has beside it what it is rebuilt from."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: str
    """Of this package."""
    level: int
    task: str
    classes: list[dict[str, Any]]
    threshold: float | None
    """Probability above which a pixel has a label; see `Decision`; None for one half."""
    manifest: Manifest
    """Of the training data, without its shards."""
    window_px: tuple[int, ...]
    patch_px: tuple[int, ...]
    """Sides of the training crop."""
    size_multiples: tuple[int, ...]
    """What the network pads each side to a multiple of."""
    step: int
    """Optimiser steps of the checkpoint."""
    metrics: dict[str, float]
    """The level's scores on the validation split; empty where none was validated."""
    licence: str | None
    """Of the weights, where one was given."""
    precision: str
    """float32 or int8, of the stored convolutions."""
    compute: Compute = "fastest"
    """What they are computed in where they are stored in float32 and the engine leaves it open."""
    symmetries: Symmetries | None = None
    """Flips and rotations of the training; None of a file of an earlier release."""
    thresholds: tuple[float, ...] = ()
    """Of each class, chosen on validation images; they go before `threshold`."""


class Engine(Protocol):
    """A network read from a file."""

    @property
    def description(self) -> Description:
        """What the file says."""
        ...

    def logits(self, images: Tensor) -> Tensor:
        """float32 (N, C, *size) in raw units to float32 logits (N, K, *size), on the CPU."""
        ...


def read_description(path: str, text: str | None) -> Description:
    """The description in a file's metadata.

    Raises:
        InputError: it has none.
    """
    if not text:
        raise InputError(f"{path} is no exported model: it has no description; make one with `unetpp export`")
    try:
        return Description.model_validate(json.loads(text))
    except (ValueError, ValidationError) as error:
        raise InputError(
            f"{path} does not say all that predicting needs; it may be of an earlier release: export it again"
        ) from error
