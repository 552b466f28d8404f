"""The classes file: names, colours, the ignored value, the task and image-level labels.

txt    one name per line, optionally followed by a colour: `sky 128 128 128` or `sky #808080`
json   a list of names, or an object with the keys of ClassSpec
yaml   the same
"""

import colorsys
import json
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from unetpp.core.errors import InputError
from unetpp.core.manifest import IGNORE, MAX_LABELS, Task

__all__ = ["ClassEntry", "ClassSpec", "Colour", "default_colours", "load_classes"]

Colour = tuple[int, int, int]

# Distinct on dark and light images; from the palette of Okabe and Ito for colour-blind readers, extended.
_COLOURS: tuple[Colour, ...] = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0),
    (204, 121, 167), (148, 103, 189), (140, 86, 75), (188, 189, 34), (23, 190, 207), (227, 119, 194),
)  # fmt: skip


class ClassEntry(BaseModel):
    """One class; `colour` is its RGB in colour masks and in pictures."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    colour: Colour | None = None
    values: tuple[int, ...] | None = None
    """Mask values of the class where they are not its place in the list; labels may share values."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value}
        if isinstance(value, dict) and isinstance(value.get("colour"), str):
            return value | {"colour": _parse_hex(value["colour"])}
        return value

    @model_validator(mode="after")
    def _colour_is_uint8(self) -> "ClassEntry":
        if self.colour is not None and not all(0 <= part <= 255 for part in self.colour):
            raise ValueError(f"colour={self.colour} must be three numbers 0 to 255")
        return self


class ClassSpec(BaseModel):
    """What the user says about the classes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    classes: tuple[ClassEntry, ...]
    """In the order of the mask values; for a binary task only the foreground."""
    task: Task | None = None
    """One class is binary, several are multiclass, unless said otherwise."""
    ignore_index: int | None = None
    """Mask value of pixels that never count."""
    ignore_colour: Colour | None = None
    """The same in colour masks."""
    image_labels: tuple[str, ...] = ()
    """Image-level classes; a sample has the one that is a folder in its path."""

    @model_validator(mode="after")
    def _consistent(self) -> "ClassSpec":
        names = [entry.name for entry in self.classes]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"classes={names} must be distinct names, at least one")
        if self.resolved_task == "binary" and len(names) != 1:
            raise ValueError(
                f"classes={names}: a binary task names its foreground only; remove the background"
            )
        if self.resolved_task == "multiclass" and not 2 <= len(names) <= IGNORE:
            raise ValueError(f"a multiclass task has 2 to {IGNORE} classes, not {len(names)}")
        if self.resolved_task == "multilabel" and len(names) > MAX_LABELS:
            raise ValueError(f"a multilabel task has at most {MAX_LABELS} labels, not {len(names)}")
        self._check_values()
        if self.ignore_index is not None and not 0 <= self.ignore_index <= 255:
            raise ValueError(f"ignore_index={self.ignore_index} must be 0 to 255")
        return self

    def _check_values(self) -> None:
        given = [entry.values for entry in self.classes if entry.values is not None]
        if not given:
            return
        values = [value for entry in given for value in entry]
        if len(given) < len(self.classes) or not all(entry for entry in given):
            raise ValueError("values must be given for every class, one or more each, or for none")
        if not all(0 <= value <= IGNORE for value in values):
            raise ValueError(f"values={sorted(set(values))} must be 0 to {IGNORE}")
        if self.resolved_task != "multilabel" and len(set(values)) < len(values):
            raise ValueError("a mask value is of two classes; regions that overlap are `task: multilabel`")
        if self.ignore_index in values:
            raise ValueError(f"ignore_index={self.ignore_index} must be no value of a class")

    @property
    def identity(self) -> dict[str, Any]:
        """What it says, for a dataset's fingerprint: as before classes had `values`, where none has."""
        said = self.model_dump()
        for entry in said["classes"]:
            if entry["values"] is None:
                del entry["values"]
        return said

    @property
    def resolved_task(self) -> Task:
        return self.task or ("binary" if len(self.classes) == 1 else "multiclass")


def load_classes(path: Path) -> ClassSpec:
    """Read a classes file.

    Raises:
        InputError: it is missing, of an unknown kind, or breaks a rule.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"classes file {path} cannot be read: {error}") from error
    try:
        value = _parse(path.suffix.lower(), text)
        return ClassSpec.model_validate({"classes": value} if isinstance(value, list) else value)
    except ValidationError as error:
        reasons = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise InputError(f"classes file {path}: {reasons}") from error
    except (ValueError, yaml.YAMLError) as error:
        raise InputError(f"classes file {path}: {error}") from error


def default_colours(count: int) -> tuple[Colour, ...]:
    """Colours for classes whose file names none."""
    return tuple(_COLOURS[i] if i < len(_COLOURS) else _spread_colour(i) for i in range(count))


def _spread_colour(index: int) -> Colour:
    # Multiples of the golden angle never come close to each other soon.
    red, green, blue = colorsys.hsv_to_rgb(
        index * 0.618034 % 1, 0.5 + index % 3 * 0.2, 0.95 - index % 2 * 0.25
    )
    return round(red * 255), round(green * 255), round(blue * 255)


def _parse(suffix: str, text: str) -> Any:
    if suffix in (".yaml", ".yml"):
        return yaml.safe_load(text)
    if suffix == ".json":
        return json.loads(text)
    if suffix == ".txt":
        return [_parse_line(line) for line in text.splitlines() if line.strip()]
    raise ValueError(f"suffix {suffix!r} must be .txt, .json or .yaml")


def _parse_line(line: str) -> dict[str, Any]:
    parts = line.split()
    if len(parts) > 3 and all(part.isdecimal() for part in parts[-3:]):
        return {"name": " ".join(parts[:-3]), "colour": tuple(map(int, parts[-3:]))}
    if len(parts) > 1 and parts[-1].startswith("#"):
        return {"name": " ".join(parts[:-1]), "colour": parts[-1]}
    return {"name": line.strip()}


def _parse_hex(text: str) -> Colour:
    digits = text.removeprefix("#")
    if len(digits) != 6:
        raise ValueError(f"colour={text!r} must be #rrggbb")
    try:
        red, green, blue = bytes.fromhex(digits)
    except ValueError as error:
        raise ValueError(f"colour={text!r} must be #rrggbb") from error
    return red, green, blue
