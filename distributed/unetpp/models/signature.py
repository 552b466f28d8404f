"""Which sub-networks are the same network, whatever training they come from."""

import functools
import hashlib
import json

import torch

from unetpp.config.sections.model import ModelConfig
from unetpp.models.build import build_model

__all__ = ["level_signatures"]

_LEFT_OUT = ("dropout", "size_multiple")
"""What acts in training only, and what is in the padded sides."""


@functools.lru_cache(maxsize=256)
def level_signatures(config: ModelConfig, size_px: tuple[int, ...]) -> dict[int, str]:
    """A hash for every supervised level: equal where inference computes the same, but for its weights.

    Level k of a deep network and the whole of one of depth k are the same where their first rows agree.

    Raises:
        ConfigError: see `build_model`.
    """
    with torch.device("meta"):
        model = build_model(config)
    found = {}
    for level in model.supervised_levels:
        arguments = model.level_config(level)
        options = {name: value for name, value in arguments.items() if name not in _LEFT_OUT}
        sides = zip(size_px, arguments["size_multiple"], strict=True)
        padded_px = [-(-side // multiple) * multiple for side, multiple in sides]
        text = json.dumps([options, size_px, padded_px], sort_keys=True)
        found[level] = hashlib.sha256(text.encode()).hexdigest()
    return found
