r"""The nested network (Zhou et al. 2018, 2020), one looped module for U-Net, UNet+ and UNet++.

    x[i][0] = H(Pool(x[i-1][0]))
    x[i][j] = H([x[i][0], ..., x[i][j-1], U(x[i+1][j-1])])        j > 0

    x00 - x01 - x02        i  row: width, resolution 1 / 2**i, dilation
     |  \  |  \  |         j  position along the skip path
    x10 - x11              heads on x[0][1..depth]; head k needs the nodes i + j <= k only
     |  \
    x20

With an encoder, rows of stride 2 to 32 take x[i][0] from it; with `stem_stride` row 0 starts at that stride.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from unetpp.config.grid import GridShape
from unetpp.core.errors import ConfigError
from unetpp.models.blocks import BlockOptions, ConvBlock, Node
from unetpp.models.encoders.efficientnet_lite import EfficientNetLite
from unetpp.models.gradients.upsampling import enlarge_logits
from unetpp.models.layers import Activation, Norm, pool_layer
from unetpp.models.output import ImageHead, ModelOutput, segmentation_head
from unetpp.models.upsample import Upsample

__all__ = ["UNetPlusPlus", "crop_to", "pad_to_multiple"]


class UNetPlusPlus(nn.Module):
    """The grid `X[i][j]` with segmentation heads on its top row; options as in `ModelConfig`.

    Args:
        pool: for each row 1..depth what it divides each axis by, 1 or 2; 2 everywhere unless given.
        size_multiple: sides are padded to a multiple of it, one for all axes or one for each; the product of
            the pooling and the stem's stride unless this is a pruned network, which keeps that of the full
            one so that both see the same pixels.

    Raises:
        ConfigError: depth outside 1..6, widths, dilation or pool not one entry per row, or an encoder that
            is unknown or has not so many rows.
    """

    recompute = False
    """Whether training keeps the nodes' outputs alone and computes the rest again for the gradient."""

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        depth: int = 4,
        width: int = 32,
        widths: Sequence[int] | None = None,
        dilation: int | Sequence[int] = 1,
        dense: Literal["unet", "plus", "pp"] = "pp",
        norm: Norm = "group",
        activation: Activation = "relu",
        upsample: Upsample = "bilinear",
        dropout: float = 0.0,
        attention: bool = False,
        deep_supervision: bool = True,
        spatial_dims: Literal[2, 3] = 2,
        pool: Sequence[Sequence[int]] | None = None,
        image_classes: int = 0,
        encoder: str = "none",
        stem_stride: int = 1,
        size_multiple: int | Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        widths = [width * 2**i for i in range(depth + 1)] if widths is None else widths
        pool = ((2,) * spatial_dims,) * depth if pool is None else pool
        self.shape = GridShape(
            depth, (*widths,), (*map(tuple, pool),), dense, encoder, stem_stride, spatial_dims
        )
        self.depth, self.spatial_dims = depth, spatial_dims
        dilation = [dilation] * (depth + 1) if isinstance(dilation, int) else dilation
        self.dilation = self.shape.per_row("dilation", dilation)
        given = (size_multiple,) * spatial_dims if isinstance(size_multiple, int) else size_multiple
        self.size_multiples = self.shape.multiples if given is None else tuple(given)
        """What each side is padded to a multiple of."""
        shallowest = 1 if deep_supervision and dense != "unet" else depth
        self.supervised_levels = tuple(range(shallowest, depth + 1))
        options = BlockOptions(norm, activation, upsample, dropout, attention, spatial_dims)
        self.config: dict[str, Any] = {
            "in_channels": in_channels,
            "num_classes": num_classes,
            "dilation": self.dilation,
            "deep_supervision": deep_supervision,
            "image_classes": image_classes,
            "size_multiple": self.size_multiples,
            **asdict(self.shape),
            **asdict(options),
        }
        """Constructor arguments that build this network again."""
        rows = self.shape.encoder_row(depth) + 1
        self.encoder = None if encoder == "none" else EfficientNetLite(in_channels, encoder, rows)
        self.pools = nn.ModuleList(pool_layer(factors) for factors in self.shape.pool)
        self.nodes = nn.ModuleDict(
            {_key(i, j): self._node(i, j, options) for i, j in self.shape.learned_nodes()}
        )
        self.heads = nn.ModuleDict()
        for k in self.supervised_levels:
            self.heads[str(k)] = segmentation_head(self.shape.widths[0], num_classes, spatial_dims)
        bottleneck = self.shape.channels(depth, 0)
        self.image_head = ImageHead(bottleneck, image_classes) if image_classes > 0 else None

    def forward(self, images: Tensor) -> ModelOutput:
        """Logits at the size of the images, whatever it is: sides are padded by repetition and cropped back.

        Args:
            images: float (N, in_channels, H, W), or (N, in_channels, D, H, W) in 3D.
        """
        padded = pad_to_multiple(images, self.size_multiples)
        features = () if self.encoder is None else self.encoder(padded)
        x: dict[tuple[int, int], Tensor] = {}
        for i, j in self.shape.nodes():
            if j > 0:
                x[i, j] = self._node_output(i, j, [x[i, k] for k in self.shape.skips(j)], x[i + 1, j - 1])
            elif self.shape.is_encoded(i):
                x[i, 0] = features[self.shape.encoder_row(i)]
            else:
                x[i, 0] = self._node_output(i, 0, self.pools[i - 1](x[i - 1, 0]) if i else self._stem(padded))
        size = images.shape[2:]
        levels = tuple(crop_to(self._logits(k, x[0, k]), size) for k in self.supervised_levels)
        return ModelOutput(levels, None if self.image_head is None else self.image_head(x[self.depth, 0]))

    def _node_output(self, i: int, j: int, *inputs: Any) -> Tensor:
        node = self.nodes[_key(i, j)]
        out: Tensor
        if self.recompute and torch.is_grad_enabled():
            out = checkpoint(node, *inputs, use_reentrant=False)
        else:
            out = node(*inputs)
        return out

    def at_level(self, level: int) -> "UNetPlusPlus":
        """The network that computes head `level` and nothing else: depth `level`, weights copied.

        Its logits equal that head's exactly, in training too. The image-level head goes with its bottleneck
        unless `level` is the full depth.

        Raises:
            ConfigError: the level has no head.
        """
        with torch.device("meta"):
            pruned = UNetPlusPlus(**self.level_config(level))
        weights = self.state_dict()
        copies = {name: weights[name].clone() for name in pruned.state_dict()}
        pruned.load_state_dict(copies, assign=True)
        return pruned.train(self.training)

    def level_config(self, level: int) -> dict[str, Any]:
        """Constructor arguments of the network that `at_level` returns.

        Raises:
            ConfigError: the level has no head.
        """
        if level not in self.supervised_levels:
            raise ConfigError(f"level={level} has no head; this network has {list(self.supervised_levels)}")
        return {
            **self.config,
            "depth": level,
            "widths": self.shape.widths[: level + 1],
            "dilation": self.dilation[: level + 1],
            "pool": self.shape.pool[:level],
            "deep_supervision": False,
            "image_classes": self.config["image_classes"] if level == self.depth else 0,
        }

    def set_dilation(self, dilation: Sequence[int]) -> None:
        """Use the same weights at other dilations, one per row: the network is then the one built with them.

        Raises:
            ConfigError: not one positive entry per row.
        """
        self.dilation = self.shape.per_row("dilation", dilation)
        self.config["dilation"] = self.dilation
        for key, node in self.nodes.items():
            block = node.block if isinstance(node, Node) else node
            assert isinstance(block, ConvBlock)
            block.set_dilation(self.dilation[_row(key)])

    def _stem(self, images: Tensor) -> Tensor:
        """What row 0 sees: (N, C, H, W) -> (N, C * s * s, H / s, W / s), no pixel lost."""
        return images if self.shape.stem_stride == 1 else F.pixel_unshuffle(images, self.shape.stem_stride)

    def _logits(self, level: int, features: Tensor) -> Tensor:
        """(N, width, H / s, W / s) -> (N, classes, H, W)."""
        logits: Tensor = self.heads[str(level)](features)
        if self.shape.stem_stride == 1:
            return logits
        return enlarge_logits(logits, self.shape.stem_stride)

    def _node(self, i: int, j: int, options: BlockOptions) -> nn.Module:
        width, dilation = self.shape.widths[i], self.dilation[i]
        if j > 0:
            skip_channels = sum(self.shape.channels(i, k) for k in self.shape.skips(j))
            below = self.shape.channels(i + 1, j - 1)
            return Node(skip_channels, width, below, dilation, options, self.shape.pool[i])
        if i > 0:
            return ConvBlock(self.shape.widths[i - 1], width, dilation, options)
        return ConvBlock(self.config["in_channels"] * self.shape.stem_stride**2, width, dilation, options)


def _key(i: int, j: int) -> str:
    return f"{i}_{j}"


def _row(key: str) -> int:
    return int(key.partition("_")[0])


def pad_to_multiple(x: Tensor, multiples: Sequence[int]) -> Tensor:
    """Repeat the last (slice,) row and column until each side is a multiple, and at least twice it.

    The bottleneck then has two pixels per axis: over a single one, batch and instance norm have no variance.
    Repeating works for every size, where mirroring needs a side longer than the padding.
    """
    sides = zip(x.shape[2:], multiples, strict=True)
    missing = [max(2, -(-side // multiple)) * multiple - side for side, multiple in sides]
    # An exported program takes every size: there the padding, possibly of 0, is part of it.
    if not torch.compiler.is_exporting() and not any(missing):
        return x
    # F.pad takes (before, after) from the last axis to the first.
    pads = [pad for extra in reversed(missing) for pad in (0, extra)]
    return F.pad(x, pads, mode="replicate")


def crop_to(x: Tensor, size: Sequence[int]) -> Tensor:
    """Undo the padding: the leading `size` of the spatial axes."""
    for axis, side in enumerate(size, start=2):
        if torch.compiler.is_exporting():
            # A view's strides differ between cropped and whole: the program would take only one of the two.
            x = x.index_select(axis, torch.arange(side, device=x.device))
        else:
            x = x.narrow(axis, 0, side)
    return x
