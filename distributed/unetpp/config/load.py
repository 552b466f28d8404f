"""YAML files and `section.field=value` overrides to a validated RunConfig, and back."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from unetpp.config.fields import Field, dotted_fields, nearest_field
from unetpp.config.messages import explain_validation
from unetpp.config.run import RunConfig
from unetpp.config.sections.base import Section
from unetpp.core.errors import ConfigError

__all__ = [
    "config_hash",
    "dump_yaml",
    "flatten",
    "given_fields",
    "load_config",
    "parse_override",
    "replace",
]

_NOT_HASHED = (
    *("out", "name", "tune", "data.cache_bytes", "data.cache_dir"),
    *("data.labels", "scale.labels", "scale.autoscaling", "scale.node_cpus", "scale.node_memory_gib"),
    *("scale.node_gpus", "scale.node_gpu_memory_gib"),
)
"""Fields and sections that say where results go, how a sweep chooses configurations, what a machine caches
and which one works: none changes what a configuration computes."""


def load_config(path: Path | None, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a YAML file, apply overrides left to right, and validate.

    Raises:
        ConfigError: the file is missing or malformed, a key is unknown, or a value breaks a rule.
    """
    values = {} if path is None else _flatten_known(_read_yaml(path))
    values.update(parse_override(text) for text in overrides)
    return _validate(values)


def parse_override(text: str) -> tuple[str, Any]:
    """Split `section.field=value`; the value is YAML, and `(a, b)` is a list.

    Raises:
        ConfigError: `=` is missing, the key is unknown or the value is malformed.
    """
    key, equals, raw = text.partition("=")
    key, raw = key.strip(), raw.strip()
    if not equals or not key:
        raise ConfigError(
            f"an override must read section.field=value; got {text!r}; for example train.epochs=5"
        )
    field = _require_field(key)
    if field.is_text:
        return key, raw
    if raw.startswith("(") and raw.endswith(")"):
        raw = f"[{raw[1:-1]}]"
    try:
        return key, yaml.safe_load(raw)
    except yaml.YAMLError as error:
        raise ConfigError(f"{key}={raw}: the value must be valid YAML; quote it") from error


def replace(config: RunConfig, changes: Mapping[str, Any]) -> RunConfig:
    """A validated copy with dotted fields changed; a field that nobody gave is still open in it.

    Raises:
        ConfigError: a key is unknown or a value breaks a rule.
    """
    for key in changes:
        _require_field(key)
    return _validate({**given_fields(config), **changes})


def flatten(config: RunConfig) -> dict[str, Any]:
    """Every field by its dotted key, in the order of the sections; tuples become lists."""
    return _flatten(config.model_dump(mode="json"))


def given_fields(config: RunConfig) -> dict[str, Any]:
    """The fields that a file or an override named, by their dotted keys, also where they equal a default."""
    named = set(_named(config, ""))
    return {key: value for key, value in flatten(config).items() if key in named}


def dump_yaml(config: RunConfig) -> str:
    """YAML that `load_config` reads back to an equal config."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def config_hash(config: RunConfig) -> str:
    """sha256 over everything that changes what is computed; `out`, `name`, `tune` and the cache do not."""
    values = {
        key: value
        for key, value in flatten(config).items()
        if key not in _NOT_HASHED and key.partition(".")[0] not in _NOT_HASHED
    }
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError) as error:
        raise ConfigError(
            f"no config file at {path}; correct the path, or give fields as key=value"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise ConfigError(f"{path} must be valid YAML{where}: {getattr(error, 'problem', error)}") from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path} must hold sections such as `train:`; it holds a {type(loaded).__name__}")
    return loaded


def _flatten_known(nested: Mapping[str, Any]) -> dict[str, Any]:
    flat = _flatten(nested)
    for key in flat:
        _require_field(key)
    return flat


def _flatten(nested: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in nested.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and key not in dotted_fields():
            flat.update(_flatten(value, f"{key}."))
        elif value is not None or not _is_section(key):  # an empty section in YAML is None
            flat[key] = value
    return flat


def _named(section: Section, prefix: str) -> Iterator[str]:
    for name in section.model_fields_set:
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from _named(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _is_section(key: str) -> bool:
    return any(field.startswith(f"{key}.") for field in dotted_fields())


def _require_field(key: str) -> Field:
    field = dotted_fields().get(key)
    if field is not None:
        return field
    if _is_section(key):
        example = next(name for name in dotted_fields() if name.startswith(f"{key}."))
        raise ConfigError(f"{key} is a section and takes no value of its own; set a field such as {example}")
    raise ConfigError(f"unknown key {key!r}; did you mean {nearest_field(key)}?")


def _validate(flat: Mapping[str, Any]) -> RunConfig:
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        section, _, field = key.rpartition(".")
        (nested.setdefault(section, {}) if section else nested)[field] = value
    try:
        return RunConfig.model_validate(nested)
    except ValidationError as error:
        raise ConfigError("\n".join(explain_validation(error, flat))) from error
