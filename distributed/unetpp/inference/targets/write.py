"""Files of candidates: what several of one level have in common is made once."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from unetpp.inference.engines import weights
from unetpp.inference.engines.engine import Description
from unetpp.inference.engines.exported import ExportedModel
from unetpp.inference.targets.candidates import Candidate

__all__ = ["LevelFiles"]


class LevelFiles:
    """Writes the candidates of one level into a folder.

    Args:
        folder: for all files.
        exported: the network pruned to the level.
        description: what a file of the level in float32 says of itself.
        images: raw float32 (1, C, *size) for the ranges of int8.
    """

    def __init__(
        self,
        folder: Path,
        exported: ExportedModel,
        description: Description,
        images: Sequence[Tensor],
    ) -> None:
        self._folder, self._exported, self._description, self._images = folder, exported, description, images
        self._graph: Path | None = None

    def write(self, candidate: Candidate) -> Path:
        """The candidate's file; OpenVINO's has its weights beside it."""
        name = f"{candidate.level}-{candidate.precision}-{candidate.compute}-{candidate.float_ends}"
        path = self._folder / f"{name}{candidate.suffix}"
        description = self._described(candidate)
        if candidate.suffix == ".safetensors":
            weights.write(self._exported, path, description)
        elif candidate.precision == "int8":
            # These take seconds to import.
            from unetpp.inference.engines.quantise import quantise

            ends = candidate.float_ends
            quantise(self._float_graph(candidate), path, description, self._images, float_ends=ends)
        elif candidate.suffix == ".xml":
            from unetpp.inference.engines.openvino import convert

            convert(self._float_graph(candidate), path, description)
        else:
            path.write_bytes(self._float_graph(candidate).read_bytes())
        return path

    def _described(self, candidate: Candidate) -> Description:
        own = {"precision": candidate.precision, "compute": candidate.compute}
        return self._description.model_copy(update=own)

    def _float_graph(self, candidate: Candidate) -> Path:
        if self._graph is None:
            from unetpp.inference.engines import onnx

            self._graph = self._folder / f"{candidate.level}.onnx"
            float32 = Candidate(candidate.level, ".onnx", "float32", "float32")
            onnx.write(self._exported, self._graph, self._described(float32))
        return self._graph
