"""The shapes of the encoders that `model.encoder` names: rows of inverted residual blocks, one row a stride.

EfficientNet-Lite is EfficientNet (Tan and Le 2019, table 1) without squeeze-and-excitation and with ReLU6.
"""

import functools
import math
from dataclasses import dataclass

__all__ = [
    "ENCODERS",
    "ENCODER_ROWS",
    "STEM_CHANNELS",
    "MBConv",
    "deepest_encoded",
    "encoder_channels",
    "encoder_rows",
    "is_file",
]

ENCODER_ROWS = 5
"""Strides 2, 4, 8, 16 and 32."""
STEM_CHANNELS = 32

_SCALES = {"lite0": (1.0, 1.0), "lite1": (1.0, 1.1), "lite2": (1.1, 1.2)}
"""Width and depth multipliers."""
ENCODERS = tuple(_SCALES)
_STAGES = (
    # row, blocks, kernel, stride, expansion, channels
    (0, 1, 3, 1, 1, 16),
    (1, 2, 3, 2, 6, 24),
    (2, 2, 5, 2, 6, 40),
    (3, 3, 3, 2, 6, 80),
    (3, 3, 5, 1, 6, 112),
    (4, 4, 5, 2, 6, 192),
    (4, 1, 3, 1, 6, 320),
)
_WIDTH_UNIT = 8


@dataclass(frozen=True)
class MBConv:
    """An inverted residual block (Sandler et al. 2018): expand, convolve each channel, project."""

    in_channels: int
    out_channels: int
    kernel: int
    stride: int
    expansion: int

    @property
    def inner_channels(self) -> int:
        """Channels between expansion and projection."""
        return self.in_channels * self.expansion

    @property
    def is_residual(self) -> bool:
        """Whether the input is added to the output."""
        return self.stride == 1 and self.in_channels == self.out_channels


@functools.cache
def encoder_rows(name: str) -> tuple[tuple[MBConv, ...], ...]:
    """The blocks of each row; the first row has the stem, a 3x3 convolution of stride 2, before them."""
    width, depth = _SCALES[name]
    rows: list[list[MBConv]] = [[] for _ in range(ENCODER_ROWS)]
    channels = STEM_CHANNELS
    for index, (row, blocks, kernel, stride, expansion, out) in enumerate(_STAGES):
        # The Lite variants scale neither the first nor the last stage in depth.
        repeats = blocks if index in (0, len(_STAGES) - 1) else math.ceil(depth * blocks)
        for block in range(repeats):
            wide = _scaled(out, width)
            rows[row].append(MBConv(channels, wide, kernel, stride if block == 0 else 1, expansion))
            channels = wide
    return tuple(map(tuple, rows))


def encoder_channels(name: str) -> tuple[int, ...]:
    """Channels of the features of each row."""
    return tuple(blocks[-1].out_channels for blocks in encoder_rows(name))


def is_file(encoder: str) -> bool:
    """Whether a value of `model.encoder` is a run or a file and not a name."""
    return "/" in encoder or encoder.endswith(".safetensors")


def deepest_encoded(stem_stride: int) -> int:
    """Largest depth of a grid whose row 0 has that stride."""
    return ENCODER_ROWS + 1 - stem_stride.bit_length()


def _scaled(channels: int, width: float) -> int:
    """The nearest multiple of 8, at most a tenth below."""
    scaled = channels * width
    nearest = max(_WIDTH_UNIT, int(scaled + _WIDTH_UNIT / 2) // _WIDTH_UNIT * _WIDTH_UNIT)
    return nearest + _WIDTH_UNIT if nearest < 0.9 * scaled else nearest
