"""The plan of `unetpp plan`: what a training or a sweep would do on some machines; nothing is started."""

from dataclasses import dataclass
from typing import Literal

from unetpp.config.planning.feasibility import check
from unetpp.config.planning.hardware import Hardware
from unetpp.config.planning.memory import training_need
from unetpp.config.planning.placement import candidates, concurrency, require_places
from unetpp.config.planning.resolve import Decision, resolve
from unetpp.config.planning.shares import worker_memory_bytes
from unetpp.config.planning.timed.facts import NO_FACTS, PlanFacts
from unetpp.config.planning.timed.plan import open_fields_decided, planned
from unetpp.config.run import RunConfig
from unetpp.core.manifest import Manifest

__all__ = ["Outlook", "outlook"]


@dataclass(frozen=True)
class Outlook:
    """A configuration with every `auto` decided, and how it fits."""

    config: RunConfig
    decisions: tuple[Decision, ...]
    concurrent: int
    """Trainings at once."""
    needed_bytes: int
    """Of one worker."""
    memory_bytes: int | None
    """Of one worker's device that is its own; None where it is not known."""
    shortage: str
    """Why it does not fit; empty where it does."""


def outlook(
    config: RunConfig,
    manifest: Manifest,
    hardware: Hardware,
    verb: Literal["train", "tune"],
    facts: PlanFacts = NO_FACTS,
) -> Outlook:
    """Decide a configuration for a training, or for the trials of a sweep.

    Raises:
        ConfigError: a value does not fit the dataset or the hardware, or there is no room.
    """
    sweep = verb == "tune"
    if sweep:
        opened, planned_fields = open_fields_decided(config, manifest, facts)
        decided, more = resolve(opened, manifest, hardware, sweep=True)
        decisions = (*planned_fields, *more)
    else:
        decided, decisions = planned(config, manifest, hardware, facts)
        require_places(decided, hardware)
    concurrent = concurrency(decided, hardware) if sweep else 1
    memory_bytes = worker_memory_bytes(decided, candidates(decided.scale, hardware), concurrent)
    samples = -(-int(decided.data.batch_size) // (decided.min_workers * decided.train.accumulate))
    needed_bytes = training_need(decided).total_bytes(samples)
    shortage = check(decided, memory_bytes)
    return Outlook(decided, decisions, concurrent, needed_bytes, memory_bytes, str(shortage or ""))
