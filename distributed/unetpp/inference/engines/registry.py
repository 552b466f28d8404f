"""Which engine reads and writes which file; this table is all that names one.

An engine is a module beside this one with

    write(exported: ExportedModel, path, description: Description)   # a file at `path`
    load(path) -> Engine

or, where it may compute in less than what is stored, ROUNDS = True and

    load(path, *, exact=False) -> Engine                             # exact: float32, however slow

Its library is imported where it is used.
"""

from importlib import import_module
from pathlib import Path
from types import ModuleType

from unetpp.core.errors import ConfigError, InputError
from unetpp.inference.engines.engine import Engine

__all__ = ["SUFFIXES", "engine_module", "files_of", "has_exact", "is_export", "load_engine"]

_MODULES = {
    ".safetensors": "unetpp.inference.engines.weights",
    ".pt2": "unetpp.inference.engines.program",
    ".onnx": "unetpp.inference.engines.onnx",
    ".xml": "unetpp.inference.engines.openvino",
}
_EXTRAS = {".onnx": "onnx", ".xml": "openvino"}
SUFFIXES = tuple(_MODULES)


def is_export(place: str) -> bool:
    """Whether a place is an exported file, by its name; a run is a folder."""
    return Path(place).suffix in _MODULES and not Path(place).is_dir()


def files_of(export: Path) -> tuple[Path, ...]:
    """An exported file, and OpenVINO's weights beside it."""
    return (export, export.with_suffix(".bin")) if export.suffix == ".xml" else (export,)


def engine_module(path: Path) -> ModuleType:
    """The module for a file.

    Raises:
        ConfigError: no engine has its suffix, or the engine is not installed.
    """
    if path.suffix not in _MODULES:
        raise ConfigError(f"--out ends in {path.suffix!r}; use one of {', '.join(SUFFIXES)}")
    try:
        return import_module(_MODULES[path.suffix])
    except ImportError as error:
        extra = _EXTRAS.get(path.suffix)
        raise ConfigError(f"{path.suffix} files need {error.name}: pip install 'unetpp[{extra}]'") from error


def load_engine(path: Path, *, exact: bool = False) -> Engine:
    """Read an exported file.

    Args:
        exact: compute in float32; else in what is fastest here.

    Raises:
        ConfigError: the engine is not installed.
        InputError: there is no such file, or it is damaged or was not written by `export`.
    """
    module = engine_module(path)
    if not path.is_file():
        raise InputError(f"there is no file {path}; name a run or a file that `unetpp export` wrote")
    engine: Engine = module.load(path, exact=exact) if _rounds(module) else module.load(path)
    return engine


def has_exact(path: Path) -> bool:
    """Whether a file's engine computes otherwise if it is to be exact."""
    return _rounds(engine_module(path))


def _rounds(module: ModuleType) -> bool:
    return getattr(module, "ROUNDS", False)
