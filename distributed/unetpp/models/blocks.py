"""The nodes of the grid: H, the attention gate, and H over [skips, U(below)]."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unetpp.models.gradients.group_norm import norm_activation
from unetpp.models.gradients.joined_conv import joined_conv
from unetpp.models.layers import Activation, Norm, activation_layer, conv_layer, dilate, norm_layer
from unetpp.models.upsample import Upsample, upsample_channels, upsample_layer

__all__ = ["AttentionGate", "BlockOptions", "ConvBlock", "Node"]


@dataclass(frozen=True)
class BlockOptions:
    """What all nodes of a network have in common; see `ModelConfig`."""

    norm: Norm
    activation: Activation
    upsample: Upsample
    dropout: float
    attention: bool
    spatial_dims: int


class ConvBlock(nn.Module):
    """H: twice a 3x3 convolution, norm, activation and dropout; keeps the size."""

    conv1: nn.Conv2d | nn.Conv3d
    conv2: nn.Conv2d | nn.Conv3d
    norm1: nn.Module
    norm2: nn.Module
    activation1: nn.Module
    activation2: nn.Module
    dropout1: nn.Module
    dropout2: nn.Module

    def __init__(self, in_channels: int, out_channels: int, dilation: int, options: BlockOptions) -> None:
        super().__init__()
        for index, channels in enumerate((in_channels, out_channels), start=1):
            conv = conv_layer(
                channels,
                out_channels,
                spatial_dims=options.spatial_dims,
                kernel=3,
                dilation=dilation,
                rectified=True,
            )
            self.add_module(f"conv{index}", conv)
            self.add_module(f"norm{index}", norm_layer(options.norm, out_channels, options.spatial_dims))
            self.add_module(f"activation{index}", activation_layer(options.activation))
            self.add_module(f"dropout{index}", nn.Dropout(options.dropout))

    def forward(self, *inputs: Tensor) -> Tensor:
        """Inputs that are joined along channels, each (N, C_k, *size) -> (N, out_channels, *size)."""
        x = joined_conv(self.conv1, *inputs)
        x = self.dropout1(norm_activation(self.norm1, self.activation1, x))
        x = norm_activation(self.norm2, self.activation2, self.conv2(x))
        out: Tensor = self.dropout2(x)
        return out

    def set_dilation(self, dilation: int) -> None:
        """Use the same weights at another dilation."""
        for conv in (self.conv1, self.conv2):
            dilate(conv, dilation)


class AttentionGate(nn.Module):
    """Scales each pixel of the skips by an additive attention score (Oktay et al. 2018)."""

    def __init__(
        self, skip_channels: int, gate_channels: int, inner_channels: int, spatial_dims: int
    ) -> None:
        super().__init__()
        dims = spatial_dims
        self.skip = conv_layer(skip_channels, inner_channels, spatial_dims=dims, kernel=1, rectified=True)
        self.gate = conv_layer(gate_channels, inner_channels, spatial_dims=dims, kernel=1, rectified=True)
        self.score = conv_layer(inner_channels, 1, spatial_dims=dims, kernel=1)

    def forward(self, skip: Tensor, gate: Tensor) -> Tensor:
        """(N, C_skip, *size), (N, C_gate, *size) -> (N, C_skip, *size)."""
        score = self.score(torch.relu(self.skip(skip) + self.gate(gate)))
        return skip * torch.sigmoid(score)


class Node(nn.Module):
    """X[i][j], j > 0: H([skips, U(below)])."""

    def __init__(
        self,
        skip_channels: int,
        width: int,
        below_channels: int,
        dilation: int,
        options: BlockOptions,
        factors: Sequence[int],
    ) -> None:
        super().__init__()
        dims = options.spatial_dims
        up_channels = upsample_channels(options.upsample, below_channels, width)
        self.up = upsample_layer(options.upsample, below_channels, width, factors)
        self.gate: AttentionGate | None = None
        if options.attention:
            self.gate = AttentionGate(skip_channels, up_channels, max(1, width // 2), dims)
        self.block = ConvBlock(skip_channels + up_channels, width, dilation, options)

    def forward(self, skips: Sequence[Tensor], below: Tensor) -> Tensor:
        """Skips (N, C_skips in all, *size), below (N, C_below, *size / factors) -> (N, width, *size)."""
        up = self.up(below)
        if self.gate is not None:
            skips = [self.gate(torch.cat(list(skips), 1), up)]
        out: Tensor = self.block(*skips, up)
        return out
