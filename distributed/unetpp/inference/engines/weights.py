"""`.safetensors`: the weights, and a description from which the network is rebuilt in PyTorch."""

import json
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from unetpp.core.errors import InputError
from unetpp.core.manifest import ChannelStats
from unetpp.inference.device import pick_device
from unetpp.inference.engines.engine import KEY, Description, read_description
from unetpp.inference.engines.exported import ExportedModel
from unetpp.models.deployed import autocast_to, for_inference, prediction_dtype
from unetpp.models.normalise import Normalise
from unetpp.models.unetpp import UNetPlusPlus

__all__ = ["ROUNDS", "load", "load_exported", "write"]

ROUNDS = True
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def write(exported: ExportedModel, path: Path, description: Description) -> None:
    """See `registry`."""
    manifest = description.manifest
    text = description.model_dump(mode="json") | {
        "model": exported.network.config,
        "channels": manifest.channels,
        "dtype": manifest.dtype,
        "channel_stats": [entry.model_dump() for entry in manifest.channel_stats],
        "resized_px": manifest.resized_px,
        "dataset_fingerprint": manifest.fingerprint,
    }
    weights = {name: tensor.contiguous() for name, tensor in exported.network.state_dict().items()}
    path.write_bytes(safetensors.torch.save(weights, {KEY: json.dumps(text)}))


def load(path: Path, *, exact: bool = False) -> "_Weights":
    """See `registry`."""
    text, exported = _read(path)
    return _Weights(exported, read_description(str(path), json.dumps(text)), exact=exact)


def load_exported(path: Path) -> ExportedModel:
    """Rebuild the network of a `.safetensors` export, in eval mode.

    Raises:
        InputError: the file was not written by `export`.
    """
    return _read(path)[1]


def _read(path: Path) -> tuple[dict[str, Any], ExportedModel]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            text = json.loads((file.metadata() or {})[KEY])
        weights = safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, KeyError, FileNotFoundError) as error:
        raise InputError(f"{path} is no exported model: {error!r}; make one with `unetpp export`") from error
    network = UNetPlusPlus(**text["model"])
    network.load_state_dict(weights)
    stats = [ChannelStats(**entry) for entry in text["channel_stats"]]
    return text, ExportedModel(Normalise(stats), network).eval()


class _Weights:
    def __init__(self, exported: ExportedModel, description: Description, *, exact: bool) -> None:
        self.description = description
        self._device = torch.device("cpu") if exact else pick_device()
        network = exported.network
        self._dtype = prediction_dtype(network, self._device)
        self._dtype = torch.float32 if exact else _DTYPES.get(description.compute, self._dtype)
        self._exported = exported.to(self._device)
        if not exact:
            self._exported.network = for_inference(network, self._device, self._dtype)

    @torch.inference_mode()
    def logits(self, images: Tensor) -> Tensor:
        """See `Engine`."""
        with autocast_to(self._dtype, self._device):
            logits: Tensor = self._exported(images.to(self._device))
        return logits.float().cpu()
