"""The layers of torch.nn that exist once per number of spatial dimensions, chosen by option."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

__all__ = [
    "Activation",
    "Norm",
    "activation_layer",
    "channels_last",
    "conv_layer",
    "dilate",
    "global_mean",
    "norm_layer",
    "pool_layer",
]

Norm = Literal["none", "batch", "group", "instance"]
Activation = Literal["relu", "leaky_relu", "silu", "gelu"]

_GROUPS = 8
_LEAK = 0.01


def conv_layer(
    in_channels: int,
    out_channels: int,
    *,
    spatial_dims: int,
    kernel: int,
    dilation: int = 1,
    rectified: bool = False,
) -> nn.Conv2d | nn.Conv3d:
    """A convolution that keeps the size, with He's initial weights.

    Args:
        rectified: an activation follows, so that the gain is sqrt(2) (He et al. 2015, eq. 10) and not 1.
    """
    layer = nn.Conv2d if spatial_dims == 2 else nn.Conv3d
    # The bias stays with every norm: the published parameter counts include it.
    conv = layer(in_channels, out_channels, kernel, padding=dilation * (kernel // 2), dilation=dilation)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu" if rectified else "linear")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


def dilate(conv: nn.Conv2d | nn.Conv3d, dilation: int) -> None:
    """Give a convolution that keeps the size another dilation, and the padding that goes with it."""
    conv.dilation = (dilation,) * len(conv.kernel_size)
    conv.padding = tuple(dilation * (side // 2) for side in conv.kernel_size)


def norm_layer(kind: Norm, channels: int, spatial_dims: int) -> nn.Module:
    """Batch, group (8 groups, or the largest divisor of 8 that divides the channels) or instance norm."""
    if kind == "none":
        return nn.Identity()
    if kind == "group":
        return nn.GroupNorm(math.gcd(_GROUPS, channels), channels)
    if kind == "batch":
        return nn.BatchNorm2d(channels) if spatial_dims == 2 else nn.BatchNorm3d(channels)
    layer = nn.InstanceNorm2d if spatial_dims == 2 else nn.InstanceNorm3d
    return layer(channels, affine=True)


def activation_layer(kind: Activation) -> nn.Module:
    """In place where the gradient can be computed from the output."""
    if kind == "relu":
        return nn.ReLU(inplace=True)
    if kind == "leaky_relu":
        return nn.LeakyReLU(_LEAK, inplace=True)
    return nn.SiLU() if kind == "silu" else nn.GELU()


def pool_layer(factors: Sequence[int]) -> nn.Module:
    """Max-pooling that divides each axis by its factor."""
    layer = nn.MaxPool2d if len(factors) == 2 else nn.MaxPool3d
    return layer(tuple(factors))


def global_mean(x: Tensor) -> Tensor:
    """(N, C, *size) -> (N, C)."""
    return x.flatten(2).mean(-1)


def channels_last(spatial_dims: int) -> torch.memory_format:
    """The memory format of images (N, C, *size) whose pixels have their channels side by side."""
    return torch.channels_last if spatial_dims == 2 else torch.channels_last_3d
