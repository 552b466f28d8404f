"""The weights that a network starts with instead of random ones."""

from collections.abc import Mapping

import torch
from torch import Tensor

from unetpp.config.sections.model import ModelConfig
from unetpp.core.manifest import ChannelStats, Manifest
from unetpp.models.encoders.lite_weights import published_weights

__all__ = ["encoder_weights"]

_BYTE_CENTRE, _BYTE_SCALE = 127.0, 128.0
"""8-bit pixels x enter the published networks as (x - 127) / 128."""
_PHOTO_MEAN, _PHOTO_STD = -0.098, 0.45
"""Of ImageNet's photographs in that scale."""


def encoder_weights(config: ModelConfig, manifest: Manifest) -> dict[str, Tensor]:
    """What `model.encoder` names, by the network's own names; empty for none.

    Images come normalised by the dataset's statistics. 8-bit channels are taken back from there to
    (x - 127) / 128 exactly; 16-bit and float ones have no such scale and get mean and spread of photographs.

    Raises:
        ConfigError: the package that ships the weights is not installed.
        CorruptionError: its file is not the one that was published.
    """
    if config.encoder == "none":
        return {}
    weights = published_weights(config.encoder)
    weights["stem.weight"] = _for_channels(weights["stem.weight"], int(config.in_channels))
    weights |= _input_scale(manifest.channel_stats, is_byte=manifest.dtype == "uint8")
    depth = int(config.depth) + config.stem_stride.bit_length() - 1
    return {f"encoder.{name}": tensor.contiguous() for name, tensor in weights.items() if _row(name) < depth}


def _row(name: str) -> int:
    """Of the encoder's tensors; the stem belongs to the first row."""
    parts = name.split(".")
    return int(parts[1]) if parts[0] == "rows" else 0


def _for_channels(weight: Tensor, channels: int) -> Tensor:
    """A first convolution (out, 3, k, k) for any number of channels.

    A grey image answers as if it were repeated in red, green and blue; other numbers of channels take the
    three kernels in turn, scaled to the same sum.
    """
    if channels == 1:
        return weight.sum(1, keepdim=True)
    turns = torch.arange(channels) % weight.shape[1]
    return weight[:, turns] * (weight.shape[1] / channels)


def _input_scale(stats: tuple[ChannelStats, ...], *, is_byte: bool) -> Mapping[str, Tensor]:
    """`scale` and `shift` that take normalised images to the units of the pretraining."""
    if is_byte:
        # A channel without spread is normalised by 1.
        scale = [(entry.std if entry.std > 0 else 1.0) / _BYTE_SCALE for entry in stats]
        shift = [(entry.mean - _BYTE_CENTRE) / _BYTE_SCALE for entry in stats]
    else:
        scale, shift = [_PHOTO_STD] * len(stats), [_PHOTO_MEAN] * len(stats)
    return {
        "scale": torch.tensor(scale).view(1, -1, 1, 1),
        "shift": torch.tensor(shift).view(1, -1, 1, 1),
    }
