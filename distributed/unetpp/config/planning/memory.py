"""What one training sample and the weights take while training, counted from the network's shape.

This is the only memory model: `auto` chooses the batch with it and a sweep passes over trials with it.
`tests/models/test_memory.py` compares it with the tensors that torch keeps.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from unetpp.config.run import RunConfig
from unetpp.config.sections.loss import LossConfig
from unetpp.config.sections.model import ModelConfig

__all__ = ["MemoryNeed", "kept_bytes", "training_need", "weight_count"]

_FLOAT_BYTES, _BF16_BYTES, _INDEX_BYTES = 4, 2, 8
_LOSS_BYTES = {"ce": 12, "dice": 16, "focal": 32, "tversky": 16, "boundary": 12}
"""Kept for each logit by a term of the loss, its targets included: the most over tasks and classes."""
_WEIGHT_COPIES = {"adamw": 4, "adam": 4, "sgd": 3}
"""Weights, gradients and the optimiser's state, in multiples of the weights."""


@dataclass(frozen=True)
class MemoryNeed:
    """What training takes on a worker's device, without the allocator's and the kernels' own."""

    sample_bytes: int
    weight_bytes: int

    def total_bytes(self, samples: int) -> int:
        """With that many samples in a pass."""
        return self.sample_bytes * samples + self.weight_bytes

    def samples(self, memory_bytes: int) -> int:
        """How many samples fit into a pass."""
        return max(0, memory_bytes - self.weight_bytes) // self.sample_bytes


def training_need(config: RunConfig) -> MemoryNeed:
    """The need of a configuration with `model`, `data.crop` and `train.precision` decided."""
    model, patch_px, bf16 = config.model, config.patch_px, config.train.precision == "bf16"
    logits = int(model.num_classes) * len(_supervised(model)) * math.prod(patch_px)
    sample_bytes = (
        kept_bytes(model, patch_px, bf16=bf16)
        + _in_flight_bytes(model, patch_px)
        + logits * _loss_bytes(config.loss)
    )
    copies = _WEIGHT_COPIES[config.optim.name] + (config.train.ema > 0)
    return MemoryNeed(sample_bytes, weight_count(model) * _FLOAT_BYTES * copies)


def kept_bytes(model: ModelConfig, patch_px: Sequence[int], *, bf16: bool) -> int:
    """Tensors of the network that the backward pass of one sample needs, the image included.

    Under autocast convolutions keep bf16 copies of their inputs, while group norm and interpolation compute,
    and group norm keeps, float32: with group norm bf16 saves little memory.
    """
    net = _Net(model)
    conv = _BF16_BYTES if bf16 else _FLOAT_BYTES
    out = _FLOAT_BYTES if model.norm == "group" else conv
    total = net.pixels(0, patch_px) * net.in_channels * (_FLOAT_BYTES + (conv if bf16 else 0))
    for level, position in net.grid():
        width, pixels = net.widths[level], net.pixels(level, patch_px)
        per_pixel = _block_bytes(model, width, conv, out) + _output_bytes(net, level, position, conv, out)
        if position > 0:
            per_pixel += net.inputs(level, position) * conv
            if model.attention:
                per_pixel += _gate_bytes(net, level, position, conv, out)
        elif level > 0:
            per_pixel += net.widths[level - 1] * (conv + _INDEX_BYTES)
        total += per_pixel * pixels
    return total


def weight_count(model: ModelConfig) -> int:
    """Parameters of the network."""
    net, dims = _Net(model), model.spatial_dims or 2
    count = 0
    for level, position in net.grid():
        width, inputs = net.widths[level], net.inputs(level, position)
        norm = 0 if model.norm == "none" else 2 * width
        count += (inputs + width) * width * 3**dims + 2 * (width + norm)
        if position > 0:
            count += _up_weights(model.upsample, net.widths[level + 1], width, net.pool[level])
            if model.attention:
                skips, up, inner = net.gate(level, position)
                count += (skips + up + 2) * inner + inner + 1
    count += len(_supervised(model)) * (net.widths[0] + 1) * int(model.num_classes)
    return count + int(model.image_classes) * (net.widths[-1] + 1)


class _Net:
    """Channels and sizes of the grid X[level][position]."""

    def __init__(self, model: ModelConfig) -> None:
        self.model, self.depth, self.in_channels = model, int(model.depth), int(model.in_channels)
        self.pool = model.pool or ((2,) * (model.spatial_dims or 2),) * self.depth
        self.widths = model.widths or tuple(model.width * 2**level for level in range(self.depth + 1))

    def grid(self) -> Iterator[tuple[int, int]]:
        for level in range(self.depth + 1):
            last = self.depth - level
            positions = sorted({0, last}) if self.model.dense == "unet" else range(last + 1)
            yield from ((level, position) for position in positions)

    def pixels(self, level: int, patch_px: Sequence[int]) -> int:
        total = 1
        for axis, side in enumerate(patch_px):
            factors = [pooled[axis] for pooled in self.pool]
            multiple = math.prod(factors)
            total *= -(-side // multiple) * multiple // math.prod(factors[:level])
        return total

    def inputs(self, level: int, position: int) -> int:
        """Channels that the first convolution of a node sees."""
        if position == 0:
            return self.widths[level - 1] if level else self.in_channels
        skips, up, _ = self.gate(level, position)
        return skips + up

    def gate(self, level: int, position: int) -> tuple[int, int, int]:
        """Channels of a node's skips, of what comes from below, and inside its attention gate."""
        width = self.widths[level]
        skips = width * (position if self.model.dense == "pp" else 1)
        up = self.widths[level + 1] if self.model.upsample == "bilinear" else width
        return skips, up, max(1, width // 2)

    def convolved(self, level: int, position: int) -> int:
        """Convolutions that take a node's output as it is: a head, or a learned upsampling."""
        head = level == 0 and position in _supervised(self.model)
        up = self.model.upsample != "bilinear" and level > 0 and (level - 1, position + 1) in set(self.grid())
        return int(head) + int(up)


def _supervised(model: ModelConfig) -> range:
    depth = int(model.depth)
    shallow = model.deep_supervision and model.dense != "unet"
    return range(1 if shallow else depth, depth + 1)


def _is_fresh(model: ModelConfig) -> bool:
    """Whether a block's output is a tensor that the block itself does not keep."""
    return model.dropout > 0 or model.activation in ("silu", "gelu")


def _block_bytes(model: ModelConfig, width: int, conv: int, out: int) -> int:
    """Per pixel, kept by twice a norm, an activation and dropout, and by the second convolution's input."""
    norm = {"none": 0, "group": _FLOAT_BYTES}.get(model.norm, conv)
    dropped = out if model.dropout > 0 else 0
    between = conv if _is_fresh(model) or out != conv else 0
    return width * (2 * (norm + out + dropped) + between)


def _output_bytes(net: _Net, level: int, position: int, conv: int, out: int) -> int:
    """Per pixel, kept of a node's output by pooling, heads and learned upsampling."""
    pooled = position == 0 and level < net.depth
    convolved = net.convolved(level, position)
    if out != conv:
        return net.widths[level] * (convolved * conv + (out if pooled and _is_fresh(net.model) else 0))
    return net.widths[level] * (out if _is_fresh(net.model) and (pooled or convolved) else 0)


def _gate_bytes(net: _Net, level: int, position: int, conv: int, out: int) -> int:
    skips, up, inner = net.gate(level, position)
    return skips * (conv if out == conv else conv + out) + (up + inner + 1) * conv


def _in_flight_bytes(model: ModelConfig, patch_px: Sequence[int]) -> int:
    """The largest input of a convolution and its gradient, float32 before they are cast."""
    net = _Net(model)
    return max(
        2 * _FLOAT_BYTES * net.inputs(level, position) * net.pixels(level, patch_px)
        for level, position in net.grid()
    )


def _up_weights(kind: str, below: int, width: int, factors: Sequence[int]) -> int:
    if kind == "bilinear":
        return 0
    if kind == "deconv":
        return below * width * math.prod(factors) + width
    return int((below * 3 ** len(factors) + 1) * width * math.prod(factors))


def _loss_bytes(loss: LossConfig) -> int:
    return sum(size for name, size in _LOSS_BYTES.items() if getattr(loss, name) > 0)
