"""Which encoder a set of weights is of."""

import contextlib
from collections.abc import Mapping

import torch
from torch import Tensor

from unetpp.config.encoders import ENCODER_ROWS, ENCODERS
from unetpp.models.encoders.efficientnet_lite import EfficientNetLite
from unetpp.models.encoders.lite_weights import folded

__all__ = ["identify_encoder"]

_PREFIX = "encoder.rows."


def identify_encoder(weights: Mapping[str, Tensor]) -> str | None:
    """The name of the encoder whose rows these are, under our names or the published ones, if it is known."""
    for name in ENCODERS:
        with torch.device("meta"):
            known = EfficientNetLite(1, name, ENCODER_ROWS).state_dict()
        own = _rows(weights, name)
        rows = {key.split(".")[2] for key in own}
        expected = {
            f"encoder.{key}": tensor.shape
            for key, tensor in known.items()
            if key.startswith("rows.") and key.split(".")[1] in rows
        }
        if own and {key: tensor.shape for key, tensor in own.items()} == expected:
            return name
    return None


def _rows(weights: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    # Without the published names, or with the shapes of another variant, they stay as they are.
    with contextlib.suppress(KeyError, RuntimeError):
        weights = {f"encoder.{key}": tensor for key, tensor in folded(weights, name).items()}
    return {key: tensor for key, tensor in weights.items() if key.startswith(_PREFIX)}
