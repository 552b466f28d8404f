"""What one training sample and the weights take while training, counted from the network's shape.

This is the only memory model: `auto` chooses the batch with it and a sweep passes over trials with it.
`tests/models/test_memory.py` compares it with the tensors that torch keeps.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from unetpp.config.grid import GridShape
from unetpp.config.planning.encoder_memory import encoder_values, encoder_weight_count, largest_input
from unetpp.config.run import RunConfig
from unetpp.config.sections.loss import LossConfig
from unetpp.config.sections.model import ModelConfig

__all__ = ["MemoryNeed", "kept_bytes", "recomputed_bytes", "training_need", "weight_count"]

_FLOAT_BYTES, _BF16_BYTES, _INDEX_BYTES = 4, 2, 8
_LOSS_BYTES = {
    "ce": 12,
    "dice": 16,
    "focal": 32,
    "tversky": 16,
    "boundary": 12,
    "lovasz": 44,
    "cldice": 500,
    "distill": 8,
}
"""Kept for each logit by a term of the loss, its targets included: the most over tasks and classes."""
_CLASS_WEIGHT_BYTES = 8
"""The same of weighing classes."""
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
    """The need of a configuration with `model`, `data.crop`, `train.precision` and `train.memory` decided."""
    model, patch_px, bf16 = config.model, config.patch_px, config.train.precision == "bf16"
    kept = recomputed_bytes if config.train.memory == "recompute" else kept_bytes
    logits = int(model.num_classes) * len(_supervised(model)) * math.prod(patch_px)
    sample_bytes = (
        kept(model, patch_px, bf16=bf16)
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
    return sum(_node_bytes(model, patch_px, bf16=bf16)) + _outside_bytes(model, patch_px, bf16=bf16)


def recomputed_bytes(model: ModelConfig, patch_px: Sequence[int], *, bf16: bool) -> int:
    """The same where a node's tensors are computed again for its backward pass: all outputs, and one node."""
    net = _Net(model)
    _, out = _value_bytes(model, bf16=bf16)
    outputs = sum(
        net.widths[row] * out * net.pixels(row, patch_px)
        for row, position in net.grid()
        if position > 0 or not net.is_encoded(row)
    )
    largest = max(_node_bytes(model, patch_px, bf16=bf16), default=0)
    return outputs + largest + _outside_bytes(model, patch_px, bf16=bf16)


def _value_bytes(model: ModelConfig, *, bf16: bool) -> tuple[int, int]:
    """Of a value that a convolution keeps, and of one that a block gives."""
    conv = _BF16_BYTES if bf16 else _FLOAT_BYTES
    return conv, _FLOAT_BYTES if model.norm == "group" else conv


def _outside_bytes(model: ModelConfig, patch_px: Sequence[int], *, bf16: bool) -> int:
    """Kept outside the nodes: the image, the encoder, pooling, and copies of outputs."""
    net = _Net(model)
    conv, out = _value_bytes(model, bf16=bf16)
    image = net.in_channels * net.full_pixels(patch_px)
    total = image * (_FLOAT_BYTES + (conv if bf16 or model.stem_stride > 1 else 0) * (not net.is_encoded(0)))
    total += net.encoder_values(patch_px) * conv
    for row, position in net.grid():
        pixels = net.pixels(row, patch_px)
        if position == 0 and net.is_encoded(row):
            # Its next row keeps it already.
            is_kept = row < net.depth or not net.convolved(row, position)
            total += 0 if is_kept else net.channels(row, 0) * conv * pixels
            continue
        per_pixel = _output_bytes(net, row, position, conv, out)
        if position == 0 and row > 0:
            per_pixel += net.widths[row - 1] * (conv + _INDEX_BYTES)  # pooled
        total += per_pixel * pixels
    return total


def _node_bytes(model: ModelConfig, patch_px: Sequence[int], *, bf16: bool) -> Iterator[int]:
    """Kept inside each node: by its block, its input and its attention gate."""
    net = _Net(model)
    conv, out = _value_bytes(model, bf16=bf16)
    for row, position in net.grid():
        if position == 0 and net.is_encoded(row):
            continue
        per_pixel = _block_bytes(model, net.widths[row], conv, out)
        if position > 0:
            per_pixel += net.inputs(row, position) * conv
            if model.attention:
                per_pixel += _gate_bytes(net, row, position, conv, out)
        yield per_pixel * net.pixels(row, patch_px)


def weight_count(model: ModelConfig) -> int:
    """Parameters of the network."""
    net, dims = _Net(model), model.spatial_dims or 2
    count = net.encoder_weight_count()
    for row, position in net.grid():
        if position == 0 and net.is_encoded(row):
            continue
        width, inputs = net.widths[row], net.inputs(row, position)
        norm = 0 if model.norm == "none" else 2 * width
        count += (inputs + width) * width * 3**dims + 2 * (width + norm)
        if position > 0:
            below = net.channels(row + 1, position - 1)
            count += _up_weights(model.upsample, below, width, net.pool[row])
            if model.attention:
                skips, up, inner = net.gate(row, position)
                count += (skips + up + 2) * inner + inner + 1
    count += len(_supervised(model)) * (net.widths[0] + 1) * int(model.num_classes)
    return count + int(model.image_classes) * (net.channels(net.depth, 0) + 1)


class _Net:
    """Channels and sizes of the grid X[row][position]."""

    def __init__(self, model: ModelConfig) -> None:
        self.model, self.depth, self.in_channels = model, int(model.depth), int(model.in_channels)
        dims, self.stem_stride = model.spatial_dims or 2, model.stem_stride
        self.pool = model.pool or ((2,) * dims,) * self.depth
        self.widths = model.widths or tuple(model.width * 2**row for row in range(self.depth + 1))
        self.shape = GridShape(
            self.depth, self.widths, self.pool, model.dense, model.encoder, self.stem_stride, dims
        )
        self.is_encoded, self.channels = self.shape.is_encoded, self.shape.channels

    def grid(self) -> Iterator[tuple[int, int]]:
        return self.shape.nodes()

    def pixels(self, row: int, patch_px: Sequence[int]) -> int:
        total = 1
        for axis, side in enumerate(self._padded(patch_px)):
            total *= side // (self.stem_stride * math.prod(factors[axis] for factors in self.pool[:row]))
        return total

    def full_pixels(self, patch_px: Sequence[int]) -> int:
        """Of the padded image."""
        return math.prod(self._padded(patch_px))

    def _padded(self, patch_px: Sequence[int]) -> list[int]:
        return [-(-side // each) * each for side, each in zip(patch_px, self.shape.multiples, strict=True)]

    def encoder_values(self, patch_px: Sequence[int]) -> int:
        """Numbers that the encoder keeps for the backward pass."""
        if self.model.encoder == "none":
            return 0
        rows, pixels = self.shape.encoder_row(self.depth) + 1, self.full_pixels(patch_px)
        return encoder_values(self.model.encoder, rows, self.in_channels, lambda n: pixels // 4**n)

    def encoder_weight_count(self) -> int:
        if self.model.encoder == "none":
            return 0
        return encoder_weight_count(
            self.model.encoder, self.shape.encoder_row(self.depth) + 1, self.in_channels
        )

    def largest_input(self, patch_px: Sequence[int]) -> int:
        """Numbers in the largest input of a convolution."""
        own = [
            self.inputs(row, position) * self.pixels(row, patch_px)
            for row, position in self.grid()
            if position > 0 or not self.is_encoded(row)
        ]
        if self.model.encoder == "none":
            return max(own)
        rows, pixels = self.shape.encoder_row(self.depth) + 1, self.full_pixels(patch_px)
        return max(*own, largest_input(self.model.encoder, rows, lambda n: pixels // 4**n))

    def inputs(self, row: int, position: int) -> int:
        """Channels that the first convolution of a node sees."""
        if position == 0:
            return self.widths[row - 1] if row else self.in_channels * self.stem_stride**2
        skips, up, _ = self.gate(row, position)
        return skips + up

    def gate(self, row: int, position: int) -> tuple[int, int, int]:
        """Channels of a node's skips, of what comes from below, and inside its attention gate."""
        width = self.widths[row]
        skips = sum(self.channels(row, skip) for skip in self.shape.skips(position))
        up = self.channels(row + 1, position - 1) if self.model.upsample == "bilinear" else width
        return skips, up, max(1, width // 2)

    def convolved(self, row: int, position: int) -> int:
        """Convolutions that take a node's output as it is: a head, or a learned upsampling."""
        head = row == 0 and position in _supervised(self.model)
        up = self.model.upsample != "bilinear" and row > 0 and (row - 1, position + 1) in set(self.grid())
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


def _output_bytes(net: _Net, row: int, position: int, conv: int, out: int) -> int:
    """Per pixel, kept of a node's output by pooling, heads and learned upsampling."""
    pooled = position == 0 and row < net.depth
    convolved = net.convolved(row, position)
    if out != conv:
        return net.widths[row] * (convolved * conv + (out if pooled and _is_fresh(net.model) else 0))
    return net.widths[row] * (out if _is_fresh(net.model) and (pooled or convolved) else 0)


def _gate_bytes(net: _Net, row: int, position: int, conv: int, out: int) -> int:
    skips, up, inner = net.gate(row, position)
    return skips * (conv if out == conv else conv + out) + (up + inner + 1) * conv


def _in_flight_bytes(model: ModelConfig, patch_px: Sequence[int]) -> int:
    """The largest input of a convolution and its gradient, float32 before they are cast."""
    return 2 * _FLOAT_BYTES * _Net(model).largest_input(patch_px)


def _up_weights(kind: str, below: int, width: int, factors: Sequence[int]) -> int:
    if kind == "bilinear":
        return 0
    if kind == "deconv":
        return below * width * math.prod(factors) + width
    return int((below * 3 ** len(factors) + 1) * width * math.prod(factors))


def _loss_bytes(loss: LossConfig) -> int:
    weighing = _CLASS_WEIGHT_BYTES * ((loss.ce > 0) + (loss.focal > 0)) if loss.class_weights else 0
    return weighing + sum(size for name, size in _LOSS_BYTES.items() if getattr(loss, name) > 0)
