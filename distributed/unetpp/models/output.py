"""What a forward pass returns, and the heads that turn features into logits."""

from typing import NamedTuple

from torch import Tensor, nn

from unetpp.models.layers import conv_layer, global_mean

__all__ = ["ImageHead", "ModelOutput", "segmentation_head"]


class ModelOutput(NamedTuple):
    """Logits of every supervised level and of the image as a whole."""

    levels: tuple[Tensor, ...]
    """Shallow to deep, in the order of `UNetPlusPlus.supervised_levels`; each (N, classes, *size)."""
    image: Tensor | None
    """(N, image_classes), or None for a network without the image-level head."""


def segmentation_head(width: int, num_classes: int, spatial_dims: int) -> nn.Module:
    """A 1x1 convolution: (N, width, *size) -> (N, num_classes, *size)."""
    return conv_layer(width, num_classes, spatial_dims=spatial_dims, kernel=1)


class ImageHead(nn.Module):
    """Classifies the whole image from the bottleneck: global mean, then a linear layer."""

    def __init__(self, width: int, image_classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, image_classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, *size) -> (N, image_classes)."""
        logits: Tensor = self.linear(global_mean(x))
        return logits
