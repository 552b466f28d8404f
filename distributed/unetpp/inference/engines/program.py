"""`.pt2`: a program of `torch.export`, which needs PyTorch alone."""

from pathlib import Path

import torch
from torch import Tensor

from unetpp.core.errors import InputError
from unetpp.inference.engines.engine import KEY, Description, read_description
from unetpp.inference.engines.exported import AnySize, ExportedModel, example_and_axes

__all__ = ["load", "write"]


def write(exported: ExportedModel, path: Path, description: Description) -> None:
    """See `registry`."""
    example, axes = example_and_axes(description.manifest.channels, exported.network.size_multiples)
    dynamic = {"images": dict.fromkeys(axes, torch.export.Dim.DYNAMIC)}
    with torch.no_grad():
        program = torch.export.export(AnySize(exported), (example,), dynamic_shapes=dynamic)
    torch.export.save(program, path, extra_files={KEY: description.model_dump_json()})


def load(path: Path) -> "_Program":
    """See `registry`."""
    found = {KEY: ""}
    try:
        module = torch.export.load(path, extra_files=found).module()
    except Exception as error:  # torch names no class for a damaged file
        raise InputError(f"{path} is damaged or no program of torch.export: {error}") from error
    return _Program(module, read_description(str(path), found[KEY]))


class _Program:
    def __init__(self, module: torch.nn.Module, description: Description) -> None:
        self.description = description
        self._module = module

    @torch.inference_mode()
    def logits(self, images: Tensor) -> Tensor:
        """See `Engine`."""
        logits: Tensor = self._module(images.cpu())
        return logits
