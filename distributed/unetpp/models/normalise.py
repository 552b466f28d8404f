"""Raw pixels to normalised float32 on whatever device they are.

Shapes: N samples, H height, W width, C channels; volumes have planes in front of H.
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
        """uint8, uint16 or float32 (N, C, *size) to float32 of the same shape."""
        mean, scale = self._for(images)
        return (images.to(torch.float32) - mean) * scale

    def inverse(self, normalised: Tensor) -> Tensor:
        """Back to raw units."""
        mean, scale = self._for(normalised)
        return normalised / scale + mean

    def _for(self, images: Tensor) -> tuple[Tensor, Tensor]:
        if images.ndim == 4:
            return self.mean, self.scale
        return self.mean.unsqueeze(-1), self.scale.unsqueeze(-1)
