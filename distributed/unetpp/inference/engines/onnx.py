"""`.onnx`: a graph of opset 21, run by ONNX Runtime.

Input: `images`, float32 (N, C, *size) in raw units; batch and size are free. Outputs: `logits`, float32
(N, K, *size), and `mask`, uint8 (N, *size).
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnxruntime
import torch
from torch import Tensor

from unetpp.core.errors import ConfigError, InputError
from unetpp.inference.engines.engine import KEY, Description, read_description
from unetpp.inference.engines.exported import ExportedModel, LogitsAndMask, example_and_axes

__all__ = ["load", "quiet", "write"]

_OPSET = 21
"""The first in which group norm is one node; before, it becomes an instance norm that cannot be quantised."""


def write(exported: ExportedModel, path: Path, description: Description) -> None:
    """See `registry`."""
    example, axes = example_and_axes(description.manifest.channels, exported.network.size_multiples)
    names = ("batch", *("planes", "height", "width")[-len(axes) + 1 :])
    try:
        with quiet():
            program = torch.onnx.export(
                LogitsAndMask(exported, description.manifest.task, description.thresholds).eval(),
                (example,),
                dynamo=True,
                opset_version=_OPSET,
                input_names=["images"],
                output_names=["logits", "mask"],
                dynamic_shapes={"images": dict(zip(axes, names, strict=True))},
                verbose=False,
            )
    except ImportError as error:
        raise ConfigError(f"{path.suffix} files need {error.name}: pip install 'unetpp[onnx]'") from error
    assert program is not None
    program.model.metadata_props[KEY] = description.model_dump_json()
    program.save(str(path), external_data=False)


def load(path: Path) -> "_Session":
    """See `registry`."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises a class for each status, without a common base
        raise InputError(f"{path} is damaged or no ONNX file: {error}") from error
    text = session.get_modelmeta().custom_metadata_map.get(KEY)
    return _Session(session, read_description(str(path), text))


class _Session:
    def __init__(self, session: onnxruntime.InferenceSession, description: Description) -> None:
        self.description = description
        self._session = session

    def logits(self, images: Tensor) -> Tensor:
        """See `Engine`."""
        (found,) = self._session.run(["logits"], {"images": images.contiguous().cpu().numpy()})
        return torch.from_numpy(found)


@contextmanager
def quiet() -> Iterator[None]:
    """Exporter and quantiser warn of libraries that are not installed and of their own steps."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
