"""The modules that are written into files: raw pixels in, logits and masks out.

Shapes: N images, C channels, H height, W width, K classes; volumes have planes in front of H.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from unetpp.core.manifest import Task
from unetpp.inference.masks.decide import threshold_logits
from unetpp.models.normalise import Normalise
from unetpp.models.unetpp import UNetPlusPlus

__all__ = ["AnySize", "ExportedModel", "LogitsAndMask", "example_and_axes"]


class ExportedModel(nn.Module):
    """Raw pixels to the logits of one head, normalisation included."""

    def __init__(self, normalise: Normalise, network: UNetPlusPlus) -> None:
        super().__init__()
        self.normalise = normalise
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """float32 (N, C, H, W) in raw units (uint8 images: 0 to 255) to logits (N, K, H, W)."""
        logits: Tensor = self.network(self.normalise(images)).levels[-1]
        return logits


class AnySize(nn.Module):
    """Pads and crops as the network does, but by index, which `torch.export` keeps free of size guards.

    The network's own padding is skipped for some sizes, a branch that a traced program cannot take.
    """

    def __init__(self, exported: ExportedModel) -> None:
        super().__init__()
        self.exported = exported

    def forward(self, images: Tensor) -> Tensor:
        multiples = self.exported.network.size_multiples
        padded = images
        for axis, multiple in enumerate(multiples, start=2):
            side = images.shape[axis]
            blocks = torch.sym_max(2, (side + multiple - 1) // multiple)
            repeated_last = torch.arange(blocks * multiple, device=images.device).clamp(max=side - 1)
            padded = padded.index_select(axis, repeated_last)
        logits: Tensor = self.exported(padded)
        for axis in range(2, images.ndim):
            logits = logits.index_select(axis, torch.arange(images.shape[axis], device=images.device))
        return logits


class LogitsAndMask(nn.Module):
    """Also the mask, as `predict` writes it, so that a program needs neither threshold nor argmax."""

    def __init__(self, exported: ExportedModel, task: Task, thresholds: Sequence[float] = ()) -> None:
        super().__init__()
        self.network = AnySize(exported)
        self.task = task
        self.thresholds = tuple(thresholds)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Raw float32 (N, C, *size) to logits (N, K, *size) and uint8 masks (N, *size)."""
        logits = self.network(images)
        least = threshold_logits(self.thresholds) or [0.0] * logits.shape[1]
        if self.task == "multiclass":
            shift = logits.new_tensor(least).view(1, -1, *[1] * (logits.ndim - 2))
            decided = logits - shift if self.thresholds else logits
            return logits, decided.argmax(1).to(torch.uint8)
        labels = logits.unbind(1)
        bits = [(chances > least[k]).to(torch.uint8) * (1 << k) for k, chances in enumerate(labels)]
        return logits, torch.stack(bits).sum(0).to(torch.uint8)


def example_and_axes(channels: int, size_multiples: Sequence[int]) -> tuple[Tensor, tuple[int, ...]]:
    """Images to trace with and the axes that may have any length.

    Unequal sides and no multiples: no size is taken for a constant.
    """
    sides = [4 * multiple + 1 + 2 * axis for axis, multiple in enumerate(size_multiples)]
    example = torch.zeros(2, channels, *sides)
    return example, (0, *range(2, example.ndim))
