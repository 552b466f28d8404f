"""The plan of a run that goes by minutes: what the command leaves open, then every `auto`, then what fits."""

from typing import Any

from unetpp.config.load import flatten, given_fields, replace
from unetpp.config.planning.hardware import Hardware
from unetpp.config.planning.placement import candidates
from unetpp.config.planning.resolve import Decision, resolve
from unetpp.config.planning.shares import worker_memory_bytes
from unetpp.config.planning.timed.facts import PlanFacts
from unetpp.config.planning.timed.fitting import shrunk
from unetpp.config.planning.timed.rules import TIMED_RULES
from unetpp.config.run import RunConfig
from unetpp.core.errors import ConfigError
from unetpp.core.manifest import Manifest

__all__ = ["open_fields_decided", "planned"]


def planned(
    config: RunConfig, manifest: Manifest, hardware: Hardware, facts: PlanFacts
) -> tuple[RunConfig, tuple[Decision, ...]]:
    """The configuration that a training starts with, and how it came about.

    Without `train.minutes` only every `auto` is decided.

    Raises:
        ConfigError: a value given by the user does not fit the dataset or the hardware.
    """
    given = given_fields(config)
    opened, decisions = open_fields_decided(config, manifest, facts)
    resolved, more = resolve(opened, manifest, hardware)
    if not config.train.minutes:
        return resolved, more
    decided = {decision.field: decision for decision in (*decisions, *more)}
    memory_bytes = worker_memory_bytes(resolved, candidates(resolved.scale, hardware), 1)
    fields = frozenset(field for field in _SHRINKABLE if field in decided or field not in given)
    changes, reason = shrunk(resolved, fields, memory_bytes)
    decided |= {field: Decision(field, value, f"made smaller: {reason}") for field, value in changes.items()}
    return replace(resolved, changes), tuple(decided.values())


def open_fields_decided(
    config: RunConfig, manifest: Manifest, facts: PlanFacts
) -> tuple[RunConfig, tuple[Decision, ...]]:
    """Decide the fields that the command did not give and that only a run with `train.minutes` leaves open.

    They are given from then on: the trials of a sweep start from them.
    """
    decisions: list[Decision] = []
    if not config.train.minutes:
        return config, ()
    given = given_fields(config)
    for field, rule in TIMED_RULES:
        found = rule(config, manifest, facts) if field not in given else None
        if found is not None:
            config, decision = _decided(config, field, *found)
            decisions.append(decision)
    return config, tuple(decisions)


def _decided(config: RunConfig, field: str, value: Any, reason: str) -> tuple[RunConfig, Decision]:
    """The configuration with a field set, or as it is where the value contradicts what was given."""
    try:
        return replace(config, {field: value}), Decision(field, value, reason)
    except ConfigError as error:
        rule = str(error).splitlines()[0]
        return config, Decision(field, flatten(config)[field], f"{value} does not fit what was given: {rule}")


_SHRINKABLE = ("data.batch_size", "data.crop", "model.width")
