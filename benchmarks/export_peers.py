"""Time of an image in OpenVINO: networks of other libraries against an export, through the same path.

Writes smp's and MONAI's UNet++ with random weights as ONNX, as far as they are installed (`write`), then
times all files in bf16 and in int8, whose ranges are those of the same images (`time`): processor time of
one thread, the least of rounds in which all take turns. Random weights say nothing of quality.

    python benchmarks/export_peers.py write --out build/peers
    unetpp export RUN --level 3 --out build/peers/ours.onnx
    python benchmarks/export_peers.py time --out build/peers --images IMAGES
"""

import argparse
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

_SIDE_PX = 256
_ROUNDS = 6
_MONAI_WIDTHS = (32, 32, 64, 128, 256, 32)
"""Those of MONAI's own default."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=["write", "time"])
    parser.add_argument("--out", required=True, type=Path, help="folder of the ONNX files")
    parser.add_argument("--images", type=Path, help=f"RGB images of {_SIDE_PX} px")
    arguments = parser.parse_args()
    if arguments.step == "write":
        _write(arguments.out)
    else:
        _time(arguments.out, arguments.images)


def _write(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    example = torch.zeros(1, 3, _SIDE_PX, _SIDE_PX)
    for name, build in (("smp-resnet18", _smp), ("monai", _monai)):
        try:
            network = build().eval()
        except ImportError as error:
            print(f"{name} is left out: {error}")
            continue
        torch.onnx.export(
            network, (example,), out / f"{name}.onnx", dynamo=False, opset_version=17,
            input_names=["images"], output_names=["logits"],
        )  # fmt: skip


def _smp() -> torch.nn.Module:
    import segmentation_models_pytorch as smp

    network: torch.nn.Module = smp.UnetPlusPlus("resnet18", encoder_weights=None, in_channels=3, classes=1)
    return network


def _monai() -> torch.nn.Module:
    from monai.networks.nets import BasicUNetPlusPlus

    class Deepest(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = BasicUNetPlusPlus(
                spatial_dims=2, in_channels=3, out_channels=1, features=_MONAI_WIDTHS
            )

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.network(images)[-1]
            return found

    return Deepest()


def _time(out: Path, folder: Path) -> None:
    from common import markdown

    paths = sorted(path for path in folder.iterdir() if path.is_file())[:16]
    pictures = [np.asarray(Image.open(path).convert("RGB"), np.float32) for path in paths]
    images = [np.ascontiguousarray(picture.transpose(2, 0, 1)[None]) for picture in pictures]
    timed: dict[tuple[str, str], Callable[[Any], Any]] = {}
    for path in sorted(out.glob("*.onnx")):
        if path.stem.endswith("-int8"):
            continue
        timed[path.stem, "bf16"] = _compiled(path)
        timed[path.stem, "int8"] = _compiled(_quantised(path, images))
    taken: dict[tuple[str, str], float] = {}
    for (key, compute), _ in itertools.product(timed.items(), range(2)):
        compute(images[0])
        taken[key] = float("inf")
    for _, (key, compute) in itertools.product(range(_ROUNDS), timed.items()):
        started_s = time.process_time()
        for image in images[:2]:
            compute(image)
        taken[key] = min(taken[key], (time.process_time() - started_s) / 2)
    rows = [[*key, f"{1000 * seconds:.1f}", f"{1 / seconds:.1f}"] for key, seconds in taken.items()]
    print(markdown(["network", "precision", "CPU ms an image", "images a CPU second"], rows))


def _compiled(path: Path) -> Callable[[Any], Any]:
    import openvino

    settings = {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY"}
    compiled = openvino.Core().compile_model(openvino.convert_model(str(path)), "CPU", settings)
    return lambda image: compiled({"images": image})["logits"]


def _quantised(path: Path, images: list[Any]) -> Path:
    """As `unetpp export --precision int8` does it: convolutions, but for the first and the last."""
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Images(CalibrationDataReader):  # type: ignore[misc]  # without types
        def __init__(self) -> None:
            self.left = iter(images)

        def get_next(self) -> dict[str, Any] | None:
            image = next(self.left, None)
            return None if image is None else {"images": image}

    target = path.with_name(f"{path.stem}-int8.onnx")
    convolutions = [node.name for node in onnx.load(path).graph.node if node.op_type == "Conv"]
    quantize_static(
        path, target, Images(), quant_format=QuantFormat.QDQ, op_types_to_quantize=["Conv"], per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        nodes_to_exclude=[convolutions[0], convolutions[-1]],
    )  # fmt: skip
    return target


if __name__ == "__main__":
    main()
