"""Raw pixels to normalised float32 on whatever device they are.

Shapes: N samples, H height, W width, C channels.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from unetpp.core.manifest import ChannelStats

__all__ = ["Normalise"]


class Normalise(nn.Module):
    """(x - mean) / std per channel with the train split's statistics, in raw units.

    Args:
        stats: one entry a channel, from the dataset's manifest.
    """

    def __init__(self, stats: Sequence[ChannelStats]) -> None:
        super().__init__()
        self.register_buffer(
            "mean", torch.tensor([s.mean for s in stats]).view(1, -1, 1, 1), persistent=False
        )
        # A constant channel has no spread to divide by.
        scale = [1.0 / s.std if s.std > 0 else 1.0 for s in stats]
        self.register_buffer("scale", torch.tensor(scale).view(1, -1, 1, 1), persistent=False)
        self.mean: Tensor
        self.scale: Tensor

    def forward(self, images: Tensor) -> Tensor:
        """uint8, uint16 or float32 N C H W to float32 N C H W."""
        return (images.to(torch.float32) - self.mean) * self.scale
