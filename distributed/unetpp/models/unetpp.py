r"""The nested network (Zhou et al. 2018, 2020), one looped module for U-Net, UNet+ and UNet++.

    x[i][0] = H(Pool(x[i-1][0]))
    x[i][j] = H([x[i][0], ..., x[i][j-1], U(x[i+1][j-1])])        j > 0

    x00 - x01 - x02        i  row: width, resolution 1 / 2**i, dilation
     |  \  |  \  |         j  position along the skip path
    x10 - x11              heads on x[0][1..depth]; head k needs the nodes i + j <= k only
     |  \
    x20
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unetpp.config.sections.model import MAX_DEPTH
from unetpp.core.errors import ConfigError
from unetpp.models.blocks import BlockOptions, ConvBlock, Node
from unetpp.models.layers import Activation, Norm, pool_layer
from unetpp.models.output import ImageHead, ModelOutput, segmentation_head
from unetpp.models.upsample import Upsample

__all__ = ["UNetPlusPlus", "crop_to", "pad_to_multiple"]


class UNetPlusPlus(nn.Module):
    """The grid `X[i][j]` with segmentation heads on its top row; options as in `ModelConfig`.

    Args:
        pool: for each row 1..depth what it divides each axis by, 1 or 2; 2 everywhere unless given.
        size_multiple: sides are padded to a multiple of it, one for all axes or one for each; the product of
            the pooling unless this is a pruned network, which keeps that of the full one so that both see
            the same pixels.

    Raises:
        ConfigError: depth outside 1..6, or widths, dilation or pool not one entry per row.
    """

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
        size_multiple: int | Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.depth = _within(depth)
        self.dense = dense
        self.spatial_dims = spatial_dims
        self.widths = _per_row(
            "widths", [width * 2**i for i in range(depth + 1)] if widths is None else widths, depth
        )
        self.dilation = _per_row(
            "dilation", [dilation] * (depth + 1) if isinstance(dilation, int) else dilation, depth
        )
        self.pool = _pooling(pool, depth, spatial_dims)
        self.size_multiples = _multiples(self.pool, size_multiple)
        """What each side is padded to a multiple of."""
        self.supervised_levels = (
            tuple(range(1, depth + 1)) if deep_supervision and dense != "unet" else (depth,)
        )
        options = BlockOptions(norm, activation, upsample, dropout, attention, spatial_dims)
        self.config: dict[str, Any] = {
            "in_channels": in_channels,
            "num_classes": num_classes,
            "depth": depth,
            "widths": self.widths,
            "dilation": self.dilation,
            "dense": dense,
            "deep_supervision": deep_supervision,
            "image_classes": image_classes,
            "pool": self.pool,
            "size_multiple": self.size_multiples,
            **asdict(options),
        }
        """Constructor arguments that build this network again."""
        self.pools = nn.ModuleList(pool_layer(factors) for factors in self.pool)
        self.nodes = nn.ModuleDict({_key(i, j): self._node(i, j, options) for i, j in self._grid()})
        heads = {
            str(k): segmentation_head(self.widths[0], num_classes, spatial_dims)
            for k in self.supervised_levels
        }
        self.heads = nn.ModuleDict(heads)
        self.image_head = ImageHead(self.widths[depth], image_classes) if image_classes > 0 else None

    def forward(self, images: Tensor) -> ModelOutput:
        """Logits at the size of the images, whatever it is: sides are padded by repetition and cropped back.

        Args:
            images: float (N, in_channels, H, W), or (N, in_channels, D, H, W) in 3D.
        """
        padded = pad_to_multiple(images, self.size_multiples)
        x: dict[tuple[int, int], Tensor] = {}
        for i, j in self._grid():
            node = self.nodes[_key(i, j)]
            if j == 0:
                x[i, 0] = node(self.pools[i - 1](x[i - 1, 0]) if i > 0 else padded)
            else:
                x[i, j] = node([x[i, k] for k in self._skips(j)], x[i + 1, j - 1])
        size = images.shape[2:]
        levels = tuple(crop_to(self.heads[str(k)](x[0, k]), size) for k in self.supervised_levels)
        return ModelOutput(levels, None if self.image_head is None else self.image_head(x[self.depth, 0]))

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
            "widths": self.widths[: level + 1],
            "dilation": self.dilation[: level + 1],
            "pool": self.pool[:level],
            "deep_supervision": False,
            "image_classes": self.config["image_classes"] if level == self.depth else 0,
        }

    def set_dilation(self, dilation: Sequence[int]) -> None:
        """Use the same weights at other dilations, one per row: the network is then the one built with them.

        Raises:
            ConfigError: not one positive entry per row.
        """
        self.dilation = _per_row("dilation", dilation, self.depth)
        self.config["dilation"] = self.dilation
        for i, j in self._grid():
            node = self.nodes[_key(i, j)]
            block = node.block if isinstance(node, Node) else node
            assert isinstance(block, ConvBlock)
            block.set_dilation(self.dilation[i])

    def _grid(self) -> Iterator[tuple[int, int]]:
        """Nodes (i, j), one diagonal i + j after the other.

        What comes before a diagonal's end is exactly the network pruned to it, dropout's draws included.
        """
        for diagonal in range(self.depth + 1):
            yield diagonal, 0
            if self.dense != "unet" or diagonal == self.depth:
                yield from ((diagonal - j, j) for j in range(1, diagonal + 1))

    def _skips(self, j: int) -> Sequence[int]:
        """Positions of the same row that node (i, j) takes in."""
        if self.dense == "pp":
            return range(j)
        return (j - 1,) if self.dense == "plus" else (0,)

    def _node(self, i: int, j: int, options: BlockOptions) -> nn.Module:
        width, dilation = self.widths[i], self.dilation[i]
        if j > 0:
            return Node(len(self._skips(j)), width, self.widths[i + 1], dilation, options, self.pool[i])
        return ConvBlock(
            self.widths[i - 1] if i > 0 else self.config["in_channels"], width, dilation, options
        )


def _key(i: int, j: int) -> str:
    return f"{i}_{j}"


def _within(depth: int) -> int:
    if not 1 <= depth <= MAX_DEPTH:
        raise ConfigError(f"model.depth={depth} must be within 1..{MAX_DEPTH}")
    return depth


def _multiples(pool: Sequence[Sequence[int]], given: int | Sequence[int] | None) -> tuple[int, ...]:
    if given is None:
        return tuple(math.prod(axis) for axis in zip(*pool, strict=True))
    return (given,) * len(pool[0]) if isinstance(given, int) else tuple(given)


def _pooling(
    pool: Sequence[Sequence[int]] | None, depth: int, spatial_dims: int
) -> tuple[tuple[int, ...], ...]:
    if pool is None:
        return ((2,) * spatial_dims,) * depth
    if len(pool) != depth or any(len(row) != spatial_dims or not {*row} <= {1, 2} for row in pool):
        raise ConfigError(
            f"model.pool={[list(row) for row in pool]} must be {depth} rows of {spatial_dims} factors "
            "1 or 2, one per axis"
        )
    return tuple(tuple(row) for row in pool)


def _per_row(name: str, values: Sequence[int], depth: int) -> tuple[int, ...]:
    if len(values) != depth + 1 or min(values) < 1:
        raise ConfigError(
            f"model.{name}={list(values)} must be {depth + 1} positive integers, one per row 0..{depth}"
        )
    return tuple(values)


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
