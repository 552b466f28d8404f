"""What a trial suggests, put into the base configuration."""

from collections.abc import Mapping
from typing import Any

from unetpp.config.load import replace
from unetpp.config.run import RunConfig
from unetpp.core.errors import ConfigError

__all__ = ["apply"]

_SWEEP_FIELDS = ("out", "name", "tune", "scale", "data.uri")
"""Sections and fields that all trials share: what they are scored on, where they run, and on how much."""


def apply(config: RunConfig, params: Mapping[str, Any]) -> RunConfig:
    """A validated copy of the base configuration with dotted fields set.

    Raises:
        ConfigError: a key is unknown or belongs to the sweep itself, or a value breaks a rule.
    """
    for key in params:
        if key in _SWEEP_FIELDS or key.partition(".")[0] in _SWEEP_FIELDS:
            raise ConfigError(
                f"a space must not set {key}: it belongs to the whole sweep; give it on the command line"
            )
    return replace(config, params)
