"""int8 convolutions: static quantisation of an ONNX graph, whose ranges are those of real images.

Activations are unsigned, as signed ones fail in ONNX Runtime behind a max-pooling, and weights have a scale a
channel. All but convolutions stay float32, and so do the first ones and the head.
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from torch import Tensor

from unetpp.inference.engines import onnx as onnx_file
from unetpp.inference.engines.engine import KEY, Description
from unetpp.inference.engines.exported import ExportedModel

__all__ = ["quantise", "write_int8"]


def write_int8(
    exported: ExportedModel, path: Path, description: Description, images: Sequence[Tensor]
) -> None:
    """Write an ONNX or OpenVINO file.

    Args:
        images: raw float32 (1, C, *size), from which ranges are taken.
    """
    with tempfile.TemporaryDirectory(prefix="unetpp-int8-") as folder:
        whole = Path(folder) / "float.onnx"
        onnx_file.write(exported, whole, description)
        quantise(whole, path, description, images)


def quantise(
    whole: Path, path: Path, description: Description, images: Sequence[Tensor], *, float_ends: int = 1
) -> None:
    """Write an ONNX or OpenVINO file from an ONNX file in float32.

    Args:
        images: raw float32 (1, C, *size), from which ranges are taken.
        float_ends: convolutions at either end that stay float32.
    """
    with tempfile.TemporaryDirectory(prefix="unetpp-int8-") as folder:
        quantised = Path(folder) / "int8.onnx"
        convolutions = [node.name for node in onnx.load(whole).graph.node if node.op_type == "Conv"]
        with onnx_file.quiet():
            quantize_static(
                whole,
                quantised,
                _Images(images),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["Conv"],
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_exclude=[*convolutions[:float_ends], *convolutions[-float_ends:]],
            )
        model = onnx.load(quantised)
        del model.metadata_props[:]
        model.metadata_props.add(key=KEY, value=description.model_dump_json())
        if path.suffix == ".onnx":
            onnx.save(model, path)
            return
        onnx.save(model, quantised)
        from unetpp.inference.engines.openvino import convert

        convert(quantised, path, description)


class _Images(CalibrationDataReader):  # type: ignore[misc]  # without types
    def __init__(self, images: Sequence[Tensor]) -> None:
        self._left: Iterator[Tensor] = iter(images)

    def get_next(self) -> dict[str, object] | None:
        image = next(self._left, None)
        return None if image is None else {"images": image.numpy()}
