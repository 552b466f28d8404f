"""A configuration as a run or sweep keeps it, maybe written by another version of the program."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from unetpp.config.fields import dotted_fields
from unetpp.config.messages import explain_validation
from unetpp.config.run import RunConfig
from unetpp.core.errors import InputError

__all__ = ["stored_config"]

_SHOWN = 5


def stored_config(values: Any, place: str) -> RunConfig:
    """The configuration that the file of a run or sweep holds; fields that it lacks have their defaults.

    Args:
        values: sections of fields, as read.
        place: the run or sweep, for the message.

    Raises:
        InputError: it has fields that this version does not know, or is damaged.
    """
    if not isinstance(values, Mapping):
        raise InputError(
            f"the configuration of {place} is damaged: it must hold sections; restore config.yaml"
        )
    unknown = sorted(set(_keys(values)) - set(dotted_fields()))
    if unknown:
        shown = ", ".join(unknown[:_SHOWN]) + (" ..." if len(unknown) > _SHOWN else "")
        raise InputError(
            f"{place} was written by another version of unetpp: this one does not know {shown}; use the "
            "version that its provenance.json names, or a newer one"
        )
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        lines = explain_validation(error, {})
        raise InputError(f"the configuration of {place} is damaged: {'; '.join(lines)}") from error


def _keys(values: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Dotted keys down to the fields; a field may hold a mapping itself."""
    found: list[str] = []
    for name, value in values.items():
        key = f"{prefix}{name}"
        is_section = isinstance(value, Mapping) and key not in dotted_fields()
        found += _keys(value, f"{key}.") if is_section and value else [key]
    return found
