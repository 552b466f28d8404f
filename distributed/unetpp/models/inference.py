"""Logits of images of any size, in one pass or through overlapping windows that are blended."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import EllipsisType

import torch
from torch import Tensor, nn

from unetpp.config.run import WINDOW_OVERLAP
from unetpp.models.output import ModelOutput

__all__ = ["AT_ONCE", "Cover", "cover", "multiples_of", "predict_logits"]

AT_ONCE = 4
"""Windows of the largest size whose activations are held at once."""
_SIGMA = 0.125
"""Of the Gaussian, in sides of the window."""
_LEAST_WEIGHT = 1e-3


@dataclass(frozen=True)
class Cover:
    """Windows of one size on a grid."""

    size_px: tuple[int, ...]
    """Sides of a window."""
    starts: tuple[tuple[int, ...], ...]
    """First pixels along each axis."""
    at_once: int
    """Windows in one forward pass."""

    @property
    def is_whole(self) -> bool:
        """Whether one window is the image."""
        return all(len(axis) == 1 for axis in self.starts)

    def weights(self) -> Tensor:
        """float32 of the window's size: a Gaussian about the centre, as MONAI and nnU-Net blend."""
        weights = torch.ones(())
        for side in self.size_px:
            offset = torch.arange(side) - (side - 1) / 2
            weights = weights[..., None] * torch.exp(-0.5 * (offset / (_SIGMA * side)) ** 2)
        return weights.clamp(min=_LEAST_WEIGHT)


def predict_logits(
    model: nn.Module,
    images: Tensor,
    *,
    window_px: int | Sequence[int],
    least_px: Sequence[int] | None = None,
    device: torch.device | None = None,
) -> ModelOutput:
    """Apply a `UNetPlusPlus`; images larger than the window are covered by overlapping ones, see `cover`.

    Windows are blended with Gaussian weights, all levels in the same pass; image-level logits are the mean
    over windows. The caller chooses eval mode, autocast and whether gradients are kept.

    Args:
        images: float (N, C, H, W), or (N, C, D, H, W) in 3D.
        window_px: largest side of a window, one for all axes or one for each.
        least_px: least sides; the largest unless given.
        device: where the model is, if not where the images are; windows are blended where the images are.

    Returns:
        Levels (N, classes, *size), float32 where windows were blended.
    """
    size = images.shape[2:]
    largest_px = [window_px] * len(size) if isinstance(window_px, int) else window_px
    covering = cover(size, largest_px, least_px or largest_px, multiples_of(model, len(size)))
    if covering.is_whole:
        output: ModelOutput = model(images if device is None else images.to(device))
        return output
    return _blended(model, images, covering, images.device if device is None else device)


def multiples_of(model: nn.Module, spatial_dims: int) -> Sequence[int]:
    """What the network pads each side to a multiple of."""
    multiples: Sequence[int] = getattr(model, "size_multiples", (1,) * spatial_dims)
    return multiples


def _blended(model: nn.Module, images: Tensor, covering: Cover, device: torch.device) -> ModelOutput:
    size = images.shape[2:]
    boxes = [_box(corner, covering.size_px) for corner in itertools.product(*covering.starts)]
    weights = covering.weights().to(images.device)
    total_weight = weights.new_zeros(size)
    for box in boxes:
        total_weight[box] += weights
    sums: list[Tensor] = []
    image_logits: list[Tensor] = []
    places = [(n, box) for n in range(len(images)) for box in boxes]
    for first in range(0, len(places), covering.at_once):
        batch = places[first : first + covering.at_once]
        output: ModelOutput = model(torch.stack([images[n][box] for n, box in batch]).to(device))
        if not sums:
            shapes = [(len(images), level.shape[1], *size) for level in output.levels]
            sums = [weights.new_zeros(shape) for shape in shapes]
        for level, total in zip(output.levels, sums, strict=True):
            for (n, box), window in zip(batch, level.to(images.device, torch.float32), strict=True):
                total[n][box] += window * weights
        if output.image is not None:
            image_logits.append(output.image.float().to(images.device))
    levels = tuple(total.div_(total_weight) for total in sums)
    if not image_logits:
        return ModelOutput(levels, None)
    # Windows come image by image: (N * windows, classes) -> (N, windows, classes)
    by_image = torch.cat(image_logits).view(len(images), len(boxes), -1)
    return ModelOutput(levels, by_image.mean(1))


def _box(corner: Sequence[int], sides: Sequence[int]) -> tuple[slice | EllipsisType, ...]:
    """Index of the spatial axes, whatever axes stand before them."""
    return (..., *(slice(start, start + side) for start, side in zip(corner, sides, strict=True)))


def cover(
    size_px: Sequence[int], largest_px: Sequence[int], least_px: Sequence[int], multiples: Sequence[int]
) -> Cover:
    """The whole image where it is not larger than a window, else overlapping windows of equal size.

    Of as many windows as the largest ones would be, each is as small as the overlap allows: an image that is
    little larger than a window costs little more than one.

    Args:
        size_px: sides of the image.
        largest_px: sides that a window does not exceed.
        least_px: sides that it has at least, within the largest and the image: with group norm a network
            should see as much as in training.
        multiples: what the network pads each side to a multiple of.
    """
    axes = [_axis(*sides) for sides in zip(size_px, largest_px, least_px, multiples, strict=True)]
    window_px = tuple(window for window, _ in axes)
    at_once = AT_ONCE * math.prod(largest_px) // math.prod(window_px)
    return Cover(window_px, tuple(starts for _, starts in axes), at_once)


def _axis(side: int, largest: int, least: int, multiple: int) -> tuple[int, tuple[int, ...]]:
    """Side of the windows along an axis, and their first pixels."""
    if side <= largest:
        return side, (0,)
    shared = int(WINDOW_OVERLAP * largest)
    count = max(2, -(-(side - shared) // (largest - shared)))
    needed = max(least, math.ceil(side / (1 + (count - 1) * (1 - WINDOW_OVERLAP))))
    window = min(largest, -(-needed // multiple) * multiple)
    last = side - window
    return window, tuple(round(index * last / (count - 1)) for index in range(count))
