"""The fields of a RunConfig: their dotted keys, and their JSON schema for editors."""

import difflib
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from unetpp.config.run import RunConfig
from unetpp.config.sections.base import Section

__all__ = ["Field", "dotted_fields", "json_schema", "nearest_field"]


@dataclass(frozen=True)
class Field:
    """A settable value of the configuration."""

    key: str
    is_text: bool
    """Takes a string as it stands: `name=007` is not a number."""


@functools.cache
def dotted_fields() -> Mapping[str, Field]:
    """Every field that takes a value, by its dotted key, in the order of the sections."""
    return MappingProxyType(_fields(RunConfig, ""))


def nearest_field(key: str) -> str:
    """The known key most like an unknown one; a right field name in a wrong section comes first."""
    last = key.rpartition(".")[2]
    same_name = [known for known in dotted_fields() if known.rpartition(".")[2] == last]
    candidates = same_name or list(dotted_fields())
    if "." in key or same_name:
        return difflib.get_close_matches(key, candidates, n=1, cutoff=0.0)[0]
    # A bare name is compared with bare names: "epoch" means train.epochs.
    by_name = {known.rpartition(".")[2]: known for known in reversed(candidates)}
    return by_name[difflib.get_close_matches(key, by_name, n=1, cutoff=0.0)[0]]


def _fields(section: type[Section], prefix: str) -> dict[str, Field]:
    found: dict[str, Field] = {}
    for name, info in section.model_fields.items():
        annotation, key = info.annotation, f"{prefix}{name}"
        if isinstance(annotation, type) and issubclass(annotation, Section):
            found.update(_fields(annotation, f"{key}."))
        else:
            found[key] = Field(key, is_text=annotation is str)
    return found


def json_schema() -> dict[str, Any]:
    """Draft 2020-12 schema with every field's docstring as its description."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **RunConfig.model_json_schema()}
