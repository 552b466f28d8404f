"""U, the operator that undoes a pooling in size, in three kinds."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from unetpp.models.gradients.upsampling import upsample_linear
from unetpp.models.layers import conv_layer

__all__ = ["LinearUpsample", "PixelShuffle", "Upsample", "upsample_channels", "upsample_layer"]

Upsample = Literal["bilinear", "deconv", "pixelshuffle"]


def upsample_channels(kind: Upsample, in_channels: int, out_channels: int) -> int:
    """Channels after upsampling: interpolation keeps them, the learned kinds cut them to `out_channels`."""
    return in_channels if kind == "bilinear" else out_channels


def upsample_layer(kind: Upsample, in_channels: int, out_channels: int, factors: Sequence[int]) -> nn.Module:
    """The layer of that kind, which multiplies each axis by its factor; channels as `upsample_channels`."""
    if kind == "bilinear":
        return LinearUpsample(factors)
    if kind == "pixelshuffle":
        return PixelShuffle(in_channels, out_channels, factors)
    layer: Any = nn.ConvTranspose2d if len(factors) == 2 else nn.ConvTranspose3d
    deconv: nn.ConvTranspose2d | nn.ConvTranspose3d = layer(
        in_channels, out_channels, tuple(factors), stride=tuple(factors)
    )
    # Kernel and stride are equal: each output pixel sees every input channel once.
    nn.init.normal_(deconv.weight, std=1 / math.sqrt(in_channels))
    if deconv.bias is not None:
        nn.init.zeros_(deconv.bias)
    return deconv


class LinearUpsample(nn.Module):
    """Bilinear, or trilinear, interpolation between samples."""

    def __init__(self, factors: Sequence[int]) -> None:
        super().__init__()
        self.factors = tuple(factors)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, *size) -> (N, C, *factors * size)."""
        return upsample_linear(x, self.factors)


class PixelShuffle(nn.Module):
    """A 3x3 convolution to the sub-pixels of each channel, rearranged in space (Shi et al. 2016)."""

    def __init__(self, in_channels: int, out_channels: int, factors: Sequence[int]) -> None:
        super().__init__()
        self.factors = tuple(factors)
        subpixels = math.prod(factors)
        self.conv = conv_layer(in_channels, out_channels * subpixels, spatial_dims=len(factors), kernel=3)
        # Equal kernels for the sub-pixels of a channel start without checkerboard (Aitken et al. 2017).
        with torch.no_grad():
            self.conv.weight.copy_(self.conv.weight[::subpixels].repeat_interleave(subpixels, 0))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, *size) -> (N, C_out, *factors * size)."""
        x = self.conv(x)
        size = x.shape[2:]
        dims = len(size)
        # (N, C * 2**dims, *size) -> (N, C, 2, ..., 2, *size) -> (N, C, H, 2, W, 2) -> (N, C, 2H, 2W)
        x = x.view(x.shape[0], -1, *self.factors, *size)
        order = [axis for d in range(dims) for axis in (2 + dims + d, 2 + d)]
        sides = [factor * side for factor, side in zip(self.factors, size, strict=True)]
        return x.permute(0, 1, *order).reshape(x.shape[0], x.shape[1], *sides)
