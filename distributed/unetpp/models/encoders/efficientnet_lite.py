"""EfficientNet-Lite as rows of features at strides 2, 4, 8, 16 and 32.

Batch norms are folded into the convolutions in front of them: their statistics stay those of the pretraining,
whatever the batch, and nothing of them is left to share between workers.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unetpp.config.encoders import STEM_CHANNELS, MBConv, encoder_rows
from unetpp.models.gradients.depthwise_conv import depthwise_conv

__all__ = ["EfficientNetLite", "InvertedResidual"]


class EfficientNetLite(nn.Module):
    """The first rows of the network, without its classifier.

    Args:
        name: lite0, lite1 or lite2.
        rows: how many, 1..5; the last has stride 2**rows.
    """

    def __init__(self, in_channels: int, name: str, rows: int) -> None:
        super().__init__()
        # Images come in the dataset's units; these take them to those of the pretraining.
        self.register_buffer("scale", torch.ones(1, in_channels, 1, 1))
        self.register_buffer("shift", torch.zeros(1, in_channels, 1, 1))
        self.scale: Tensor
        self.shift: Tensor
        self.stem = _conv(in_channels, STEM_CHANNELS, kernel=3, stride=2)
        blocks = encoder_rows(name)[:rows]
        self.rows = nn.ModuleList(nn.Sequential(*map(InvertedResidual, row)) for row in blocks)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, C, H, W), sides multiples of 2**rows -> the features of each row, (N, C_row, H / s, W / s)."""
        x = _same_size(images * self.scale + self.shift, self.stem)
        x = F.relu6(self.stem(x), inplace=True)
        features = []
        for row in self.rows:
            x = row(x)
            features.append(x)
        return features


class InvertedResidual(nn.Module):
    """1x1 expansion, depthwise convolution, 1x1 projection without activation; added to its input."""

    def __init__(self, block: MBConv) -> None:
        super().__init__()
        inner = block.inner_channels
        self.is_residual = block.is_residual
        self.expand = _conv(block.in_channels, inner, kernel=1) if block.expansion > 1 else None
        self.depthwise = _conv(inner, inner, kernel=block.kernel, stride=block.stride, groups=inner)
        self.project = _conv(inner, block.out_channels, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, H, W) -> (N, C_out, H / stride, W / stride)."""
        inner = x if self.expand is None else F.relu6(self.expand(x), inplace=True)
        inner = F.relu6(depthwise_conv(self.depthwise, _same_size(inner, self.depthwise)), inplace=True)
        out: Tensor = self.project(inner)
        return out + x if self.is_residual else out


def _conv(in_channels: int, out_channels: int, *, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    padding = kernel // 2 if stride == 1 else 0
    conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, groups=groups)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    return conv


def _same_size(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """Zeros that make a convolution of stride 2 halve even sides as TensorFlow's padding SAME does.

    More of them behind than in front. Padding the kernel instead, or cutting the output, is slower.
    """
    if conv.stride == (1, 1):
        return x
    before = (conv.kernel_size[0] - 2) // 2
    return F.pad(x, (before, before + 1, before, before + 1))
