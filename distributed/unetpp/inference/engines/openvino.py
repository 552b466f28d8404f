"""`.xml` with `.bin` beside it: OpenVINO's representation, converted from ONNX."""

import tempfile
from pathlib import Path

import openvino
import torch
from torch import Tensor

from unetpp.core.errors import InputError
from unetpp.inference.engines.engine import KEY, Description, read_description
from unetpp.inference.engines.exported import ExportedModel

__all__ = ["ROUNDS", "convert", "load", "write"]

ROUNDS = True
_HINTS = {"float32": "f32", "bfloat16": "bf16"}


def write(exported: ExportedModel, path: Path, description: Description) -> None:
    """See `registry`."""
    from unetpp.inference.engines import onnx

    with tempfile.TemporaryDirectory(prefix="unetpp-export-") as folder:
        onnx.write(exported, Path(folder) / "model.onnx", description)
        convert(Path(folder) / "model.onnx", path, description)


def convert(source: Path, path: Path, description: Description) -> None:
    """Write an ONNX file as OpenVINO's; weights stay float32, which OpenVINO would make float16."""
    model = openvino.convert_model(str(source))
    model.set_rt_info(description.model_dump_json(), [KEY])
    openvino.save_model(model, str(path), compress_to_fp16=False)


def load(path: Path, *, exact: bool = False) -> "_Compiled":
    """See `registry`; by itself OpenVINO computes in bf16 where the CPU has units for it."""
    settings = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "PERFORMANCE_HINT": "LATENCY"}
    core = openvino.Core()
    try:
        model = core.read_model(str(path))
        text = str(model.get_rt_info([KEY]).value) if model.has_rt_info([KEY]) else None
        description = read_description(str(path), text)
        if hint := _HINTS.get("float32" if exact else description.compute):
            settings["INFERENCE_PRECISION_HINT"] = hint
        compiled = core.compile_model(model, "CPU", settings)
    except RuntimeError as error:
        raise InputError(
            f"{path} is damaged or no OpenVINO model, or its .bin is missing: {error}"
        ) from error
    return _Compiled(compiled, description)


class _Compiled:
    def __init__(self, compiled: openvino.CompiledModel, description: Description) -> None:
        self.description = description
        self._compiled = compiled

    def logits(self, images: Tensor) -> Tensor:
        """See `Engine`."""
        found = self._compiled({"images": images.contiguous().cpu().numpy()})["logits"]
        return torch.from_numpy(found).clone()
