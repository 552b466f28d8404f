"""One file that holds a trained network, pruned to the level that is used.

`.safetensors` holds the weights and, in its metadata under `unetpp`, JSON that describes them;
`load_exported` rebuilds the network. `.pt2` is a `torch.export` program that needs PyTorch alone. Both take
raw pixels.

Shapes: N images, C channels, H height, W width, K classes.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

import unetpp
from unetpp.core.errors import ConfigError, ExistsError, InputError
from unetpp.core.manifest import ChannelStats
from unetpp.models.load import LoadedRun, asked_level, load_whole
from unetpp.models.normalise import Normalise
from unetpp.models.unetpp import UNetPlusPlus

__all__ = ["ExportedModel", "export_run", "load_exported"]

_METADATA_KEY = "unetpp"
_SUFFIXES = (".safetensors", ".pt2")
_PROBE_SIZES_PX = ((64, 64), (75, 50))


class ExportedModel(nn.Module):
    """Raw pixels to the logits of one head, normalisation included."""

    def __init__(self, normalise: Normalise, network: UNetPlusPlus) -> None:
        super().__init__()
        self.normalise = normalise
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """float32 (N, C, H, W) in raw units (uint8 images: 0 to 255) to logits (N, K, H, W)."""
        logits: Tensor = self.network(self.normalise(images)).levels[-1]
        return logits


def export_run(
    run_uri: str,
    out: Path,
    *,
    level: int | None = None,
    dilation: Sequence[int] | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write a run's best model, pruned to `level` (default: its deepest), and check it against the run.

    Args:
        dilation: see `load_run`.

    Returns:
        file, level, bytes, and max_abs_diff: the largest difference between the logits of the written file
        and the same head of the full network, over probe images.

    Raises:
        ConfigError: unknown suffix, or the level has no head.
        ExistsError: the file exists and `overwrite` is off.
    """
    if out.suffix not in _SUFFIXES:
        raise ConfigError(f"--out ends in {out.suffix!r}; use one of {', '.join(_SUFFIXES)}")
    if out.exists() and not overwrite:
        raise ExistsError(f"{out} exists; name another --out or replace it with --overwrite")
    run = load_whole(run_uri, dilation=dilation)
    head = asked_level(run.model, level, dilation)
    exported = ExportedModel(run.normalise, run.model.at_level(head)).eval()
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == ".pt2":
        _save_program(exported, out, run)
        written: nn.Module = torch.export.load(out).module()
    else:
        out.write_bytes(_to_safetensors(exported, run, head))
        written = load_exported(out)
    return {
        "file": str(out),
        "level": head,
        **{key: rows[: head + 1] for key, rows in run.chosen.items()},
        "max_abs_diff": _max_abs_diff(run, written, head),
        "bytes": out.stat().st_size,
    }


def load_exported(path: Path) -> ExportedModel:
    """Rebuild the network of a `.safetensors` export, in eval mode.

    Raises:
        InputError: the file was not written by `export`.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            description = json.loads((file.metadata() or {})[_METADATA_KEY])
        weights = safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, KeyError, FileNotFoundError) as error:
        raise InputError(f"{path} is no exported model: {error!r}; make one with `unetpp export`") from error
    network = UNetPlusPlus(**description["model"])
    network.load_state_dict(weights)
    stats = [ChannelStats(**entry) for entry in description["channel_stats"]]
    return ExportedModel(Normalise(stats), network).eval()


def _to_safetensors(exported: ExportedModel, run: LoadedRun, head: int) -> bytes:
    manifest = run.manifest
    description = {
        "version": unetpp.__version__,
        "model": exported.network.config,
        "level": head,
        "task": manifest.task,
        "classes": [entry.model_dump() for entry in manifest.classes],
        "channels": manifest.channels,
        "dtype": manifest.dtype,
        "channel_stats": [entry.model_dump() for entry in manifest.channel_stats],
        "resized_px": manifest.resized_px,
        "dataset_fingerprint": manifest.fingerprint,
        "step": run.step,
    }
    weights = {name: tensor.contiguous() for name, tensor in exported.network.state_dict().items()}
    return safetensors.torch.save(weights, {_METADATA_KEY: json.dumps(description)})


class _AnySize(nn.Module):
    """Pads and crops as the network does, but by index, which `torch.export` keeps free of size guards.

    The network's own padding is skipped for some sizes, a branch that a traced program cannot take.
    """

    def __init__(self, exported: ExportedModel) -> None:
        super().__init__()
        self.exported = exported

    def forward(self, images: Tensor) -> Tensor:
        multiples = self.exported.network.size_multiples
        padded = images
        for axis, multiple in enumerate(multiples, start=2):
            side = images.shape[axis]
            blocks = torch.sym_max(2, (side + multiple - 1) // multiple)
            repeated_last = torch.arange(blocks * multiple, device=images.device).clamp(max=side - 1)
            padded = padded.index_select(axis, repeated_last)
        logits: Tensor = self.exported(padded)
        for axis in range(2, images.ndim):
            logits = logits.index_select(axis, torch.arange(images.shape[axis], device=images.device))
        return logits


def _save_program(exported: ExportedModel, out: Path, run: LoadedRun) -> None:
    # Unequal sides, no multiple: no size is taken for a constant.
    sides = [4 * multiple + 1 + 2 * axis for axis, multiple in enumerate(exported.network.size_multiples)]
    example = torch.zeros(2, run.manifest.channels, *sides)
    axes = (0, *range(2, example.ndim))
    dynamic = {"images": dict.fromkeys(axes, torch.export.Dim.DYNAMIC)}
    with torch.no_grad():
        torch.export.save(torch.export.export(_AnySize(exported), (example,), dynamic_shapes=dynamic), out)


@torch.inference_mode()
def _max_abs_diff(run: LoadedRun, written: nn.Module, head: int) -> float:
    generator = torch.Generator().manual_seed(0)
    reference = ExportedModel(run.normalise, run.model).eval()
    index = run.model.supervised_levels.index(head)
    largest = 0.0
    for sides in _PROBE_SIZES_PX:
        # Volumes: one more axis, as long as the last.
        size = (*sides, sides[-1])[: run.manifest.spatial_dims]
        # Values spread as the training pixels are, so that the logits have their usual size.
        noise = torch.randn(2, run.manifest.channels, *size, generator=generator)
        images = run.normalise.inverse(noise)
        expected = reference.network(reference.normalise(images)).levels[index]
        largest = max(largest, float((written(images) - expected).abs().max()))
    return largest
