"""What an export may be: which level, in which engine, stored and computed in which precision."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unetpp.core.errors import ConfigError
from unetpp.inference.engines.engine import Compute
from unetpp.inference.engines.registry import SUFFIXES, engine_module

__all__ = ["Candidate", "Target", "candidates_for"]

Target = Literal["cpu", "gpu"]

_ENGINES = {".safetensors": "PyTorch", ".onnx": "ONNX Runtime", ".xml": "OpenVINO"}
_SHORT = {"float32": "fp32", "bfloat16": "bf16"}


@dataclass(frozen=True)
class Candidate:
    """One way to export a run."""

    level: int
    suffix: str
    """Of the file, which names the engine."""
    precision: Literal["float32", "int8"]
    """Of the stored convolutions."""
    compute: Compute
    float_ends: int = 1
    """Of an int8 file: convolutions at either end that stay float32."""

    @property
    def engine(self) -> str:
        """As a table names it."""
        return _ENGINES[self.suffix]

    @property
    def numbers(self) -> str:
        """As a table names the precision."""
        if self.precision == "float32":
            return _SHORT[self.compute]
        return "int8" if self.float_ends == 1 else f"int8, {self.float_ends} float at either end"


def candidates_for(target: Target, level: int, suffix: str = "") -> list[Candidate]:
    """All of one level whose engines are installed.

    Args:
        target: what the file is to run on.
        level: head to keep.
        suffix: of the file that is asked for; empty for any.

    Raises:
        ConfigError: no file with that suffix can be chosen, or its engine is not installed.
    """
    found = [
        Candidate(level, ".safetensors", "float32", "float32"),
        Candidate(level, ".safetensors", "float32", "bfloat16"),
    ]
    if target == "cpu":
        found += [
            Candidate(level, ".onnx", "float32", "float32"),
            Candidate(level, ".onnx", "int8", "float32"),
            Candidate(level, ".xml", "float32", "float32"),
            Candidate(level, ".xml", "float32", "bfloat16"),
            Candidate(level, ".xml", "int8", "fastest"),
        ]
    if suffix:
        possible = {entry.suffix for entry in found}
        if suffix not in possible:
            raise ConfigError(
                f"--target {target} chooses among {', '.join(s for s in SUFFIXES if s in possible)}; "
                f"--out ends in {suffix}: name one of them, or leave the ending out"
            )
        engine_module(Path(f"x{suffix}"))
    return [
        entry for entry in found if entry.suffix == suffix or (not suffix and _is_installed(entry.suffix))
    ]


def _is_installed(suffix: str) -> bool:
    try:
        engine_module(Path(f"x{suffix}"))
    except ConfigError:
        return False
    return True
