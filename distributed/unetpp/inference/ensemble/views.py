"""Test-time augmentation: the mean over mirrored and rotated views of an image.

Shapes: N images, C channels, K classes; a size is height and width, behind planes for volumes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from unetpp.config.symmetries import Symmetries, View
from unetpp.core.errors import ConfigError
from unetpp.core.manifest import Task
from unetpp.inference.ensemble.average import average_outputs
from unetpp.models.inference import multiples_of
from unetpp.models.output import ModelOutput

__all__ = ["MeanOfViews", "allowed_views", "seen", "seen_back"]

_PLANE = (-2, -1)


class MeanOfViews(nn.Module):
    """A model whose output is the mean over views of what it is given, each output turned back."""

    def __init__(self, model: nn.Module, views: Sequence[View], task: Task, spatial_dims: int) -> None:
        super().__init__()
        self.model, self.views, self.task = model, tuple(views), task
        self.size_multiples = tuple(multiples_of(model, spatial_dims))

    def forward(self, images: Tensor) -> ModelOutput:
        """float32 (N, C, *size) as the model takes it."""
        return average_outputs((self._output(images, view) for view in self.views), self.task)

    def _output(self, images: Tensor, view: View) -> ModelOutput:
        output: ModelOutput = self.model(seen(images, view))
        return ModelOutput(tuple(seen_back(level, view) for level in output.levels), output.image)


def allowed_views(symmetries: Symmetries | None, place: str) -> tuple[View, ...]:
    """The views that a model was trained on.

    Raises:
        ConfigError: it was trained on images as they are, or does not say.
    """
    if symmetries is None:
        raise ConfigError(
            f"test-time augmentation needs to know how images were flipped in training; {place} does not "
            "say: export it again, or leave --tta out"
        )
    views = symmetries.views()
    if len(views) == 1:
        raise ConfigError(
            f"test-time augmentation averages over flips and quarter turns that a training has seen; "
            f"{place} was trained with none (augment.flip=0); leave --tta out"
        )
    return views


def seen(images: Tensor, view: View) -> Tensor:
    """Images (..., *size) as a view shows them."""
    turns, flips = view
    turned = torch.rot90(images, turns, _PLANE) if turns else images
    return torch.flip(turned, flips) if flips else turned


def seen_back(outputs: Tensor, view: View) -> Tensor:
    """What `seen` turned, as it was."""
    turns, flips = view
    back = torch.flip(outputs, flips) if flips else outputs
    return torch.rot90(back, -turns, _PLANE) if turns else back
