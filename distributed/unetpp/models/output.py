"""What a forward pass returns."""

from typing import NamedTuple

from torch import Tensor

__all__ = ["ModelOutput"]


class ModelOutput(NamedTuple):
    """Logits of every supervised level and of the image as a whole."""

    levels: tuple[Tensor, ...]
    """Shallow to deep, in the order of `UNetPlusPlus.supervised_levels`; each (N, classes, *size)."""
    image: Tensor | None
    """(N, image_classes), or None for a network without the image-level head."""
