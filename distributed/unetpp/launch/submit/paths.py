"""Paths of a command line as the job will see them: shipped, made absolute, or refused."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unetpp.core.errors import UserError
from unetpp.core.manifest import SPLITS

__all__ = ["SUBMITTABLE", "JobPaths", "VerbPaths", "relocate"]

_MAX_INPUT_BYTES = 4 * 2**20
_PLACES = ("data.uri", "out")


@dataclass(frozen=True)
class VerbPaths:
    """Which parameters of a verb name files to ship, and which name places that the cluster must reach."""

    files: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    overrides: str = ""
    """The parameter that holds [CONFIG.yaml] key=value ..."""


SUBMITTABLE: Mapping[tuple[str, ...], VerbPaths] = {
    ("train",): VerbPaths(overrides="arguments"),
    ("tune",): VerbPaths(files=("space",), overrides="arguments"),
    ("data", "pack"): VerbPaths(files=("classes", "group"), places=("images", "masks", "out")),
    ("evaluate",): VerbPaths(places=("models", "out")),
    ("predict",): VerbPaths(places=("models", "source", "out")),
}


@dataclass
class JobPaths:
    """Decides each path, and collects the files to ship."""

    same_machine: bool
    """The head node's paths are this machine's."""
    neighbours: Sequence[str] = ()
    """Names of files beside a shipped one that it reads."""
    inputs: dict[str, Path] = field(default_factory=dict)
    """Files to ship by their path in the upload."""

    def ship(self, value: str) -> str:
        """The path inside the upload of a file that exists here; other values are no files and stay.

        Raises:
            UserError: the file is too large to be a configuration.
        """
        path = Path(value)
        if not path.is_file():
            return value
        if path.stat().st_size > _MAX_INPUT_BYTES:
            raise UserError(
                f"{value} must be below {_MAX_INPUT_BYTES // 2**20} MiB to travel with the job; "
                "put it where the cluster reads it and give its URI"
            )
        folder = f"inputs/{len(self.inputs)}"
        found = (path, *(path.with_name(name) for name in self.neighbours))
        self.inputs.update((f"{folder}/{file.name}", file) for file in found if file.is_file())
        return f"{folder}/{path.name}"

    def place(self, value: str) -> str:
        """A URI as it is, a local path absolute.

        Raises:
            UserError: a relative path, which means nothing on another machine.
        """
        if "://" in value or os.path.isabs(value):
            return value
        if self.same_machine:
            return str(Path(value).expanduser().absolute())
        raise UserError(
            f"{value} is a path of this machine, which the cluster does not see; "
            "give a URI such as s3://bucket/prefix, or the absolute path of a folder that all nodes share"
        )


def relocate(paths: VerbPaths, parameters: Mapping[str, Any], decide: JobPaths) -> dict[str, Any]:
    """The verb's parameters with every path decided.

    Raises:
        UserError: a path that the cluster cannot see.
    """
    changed = dict(parameters)
    for name in paths.files:
        changed[name] = _each(parameters[name], decide.ship)
    for name in paths.places:
        changed[name] = _each(parameters[name], lambda value: _named_place(value, decide))
    if paths.overrides:
        changed[paths.overrides] = [
            _override(argument, decide) for argument in parameters[paths.overrides] or ()
        ]
    return changed


def _each(value: Any, change: Callable[[str], str]) -> Any:
    if value is None:
        return None
    if isinstance(value, list | tuple):
        return [change(str(entry)) for entry in value]
    return change(str(value))


def _named_place(value: str, decide: JobPaths) -> str:
    """`train=DIR` names a split of `data pack`, `data.uri=URI` the dataset of `evaluate`."""
    head, equals, tail = value.partition("=")
    return f"{head}={decide.place(tail)}" if equals and head in (*SPLITS, *_PLACES) else decide.place(value)


def _override(argument: str, decide: JobPaths) -> str:
    key, equals, value = argument.partition("=")
    if not equals:
        return decide.ship(argument)
    return f"{key}={decide.place(value)}" if key in _PLACES and value else argument
