"""The weights that a network starts with instead of random ones."""

import torch
from torch import Tensor

from unetpp.config.sections.model import ModelConfig
from unetpp.core.errors import ConfigError
from unetpp.core.manifest import Manifest
from unetpp.models.build import build_model
from unetpp.models.encoders.lite_weights import folded, published_weights
from unetpp.models.transfer import Transfer, fit, read_weights

__all__ = ["encoder_weights", "initial_weights"]

_ENCODER = "encoder."
_INPUT = ("encoder.scale", "encoder.shift")
_PUBLISHED_STEM = "_conv_stem.weight"
_COLOURS = 3
_BYTE_CENTRE, _BYTE_SCALE = 127.0, 128.0
"""8-bit pixels x enter the published networks as (x - 127) / 128."""
_PHOTO_MEAN, _PHOTO_STD = -0.098, 0.45
"""Of ImageNet's photographs in that scale."""


def initial_weights(config: ModelConfig, manifest: Manifest, source: str) -> Transfer:
    """What a run starts with: the weights of `source` that fit, then those that `model.encoder` names.

    Args:
        source: a run, an export or a safetensors file; "" for none.

    Raises:
        ConfigError: nothing of the source fits, or the package that ships an encoder's weights is missing.
        InputError: the source cannot be read.
        CheckpointError: it is a run without a checkpoint.
    """
    if not source and config.encoder == "none":
        return Transfer({}, "")
    with torch.device("meta"):
        network = build_model(config).state_dict()
    # How images enter the encoder follows from this dataset.
    own = {name: tensor for name, tensor in network.items() if name not in _INPUT}
    taken = fit(source, _named_as_ours(read_weights(source), config), own) if source else Transfer({}, "")
    lacking = [name for name in own if name.startswith(_ENCODER) and name not in taken.weights]
    published = encoder_weights(config) if lacking else {}
    scale = {} if config.encoder == "none" else _input_scale(manifest)
    return Transfer(published | taken.weights | scale, taken.told)


def encoder_weights(config: ModelConfig) -> dict[str, Tensor]:
    """The published weights of the rows that the grid reaches, by the network's own names.

    Raises:
        ConfigError: the package that ships them is not installed.
        CorruptionError: its file is not the one that was published.
    """
    weights = published_weights(config.encoder)
    weights["stem.weight"] = _for_channels(weights["stem.weight"], int(config.in_channels))
    rows = int(config.depth) + config.stem_stride.bit_length() - 1
    return {_ENCODER + name: tensor.contiguous() for name, tensor in weights.items() if _row(name) < rows}


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


def _named_as_ours(given: dict[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """Weights of an EfficientNet-Lite under its published names become those of the encoder."""
    if _PUBLISHED_STEM not in given or config.encoder == "none":
        return {name: tensor for name, tensor in given.items() if not name.endswith(_INPUT)}
    try:
        weights = folded(given, config.encoder)
    except KeyError as error:
        raise ConfigError(
            f"train.init must hold the EfficientNet-Lite that model.encoder={config.encoder} names; "
            f"{error.args[0]} is not in it; name another model.encoder"
        ) from error
    if weights["stem.weight"].shape[1] == _COLOURS:
        weights["stem.weight"] = _for_channels(weights["stem.weight"], int(config.in_channels))
    return {_ENCODER + name: tensor.contiguous() for name, tensor in weights.items()}


def _input_scale(manifest: Manifest) -> dict[str, Tensor]:
    """What takes normalised images to the units of the pretraining."""
    stats = manifest.channel_stats
    if manifest.dtype == "uint8":
        # A channel without spread is normalised by 1.
        scale = [(entry.std if entry.std > 0 else 1.0) / _BYTE_SCALE for entry in stats]
        shift = [(entry.mean - _BYTE_CENTRE) / _BYTE_SCALE for entry in stats]
    else:
        scale, shift = [_PHOTO_STD] * len(stats), [_PHOTO_MEAN] * len(stats)
    values = zip(_INPUT, (scale, shift), strict=True)
    return {name: torch.tensor(entries).view(1, -1, 1, 1) for name, entries in values}
