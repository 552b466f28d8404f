"""What a command may change when a run goes on: what was given counts, also where it equals a default.

How fast, where, how long and how safely a run trains may change; what was trained followed from the rest.
"""

from collections.abc import Mapping
from typing import Any

from unetpp.config import AUTO, Decision, RunConfig, flatten, given_fields
from unetpp.config.learning_rate import lr_factor
from unetpp.config.planning.resolve import DECIDED_FIELDS
from unetpp.core.errors import ConfigError
from unetpp.training.loop.state import TrainState

__all__ = ["applied_changes", "explain_changes", "last_epoch"]

_MAY_CHANGE = frozenset(
    (
        *("data.cache_bytes", "data.cache_dir", "data.labels", "data.workers"),
        *(
            "train.epochs",
            "train.minutes",
            "train.patience",
            "train.validate_every",
            "train.trackers",
            "train.max_nonfinite",
        ),
        *("train.checkpoint_every_steps", "train.checkpoint_minutes", "train.keep_checkpoints"),
        *("train.compile", "train.memory"),
    )
)
"""Beside all of `scale`."""
_PLACES = ("out", "name", "data.uri")
_REASONS = {
    "model": "the checkpoint holds this network",
    "data": "the order and the content of the batches follow from it",
    "tune": "it decided which checkpoint is the best so far",
}
_OTHER_REASON = "what was trained so far followed from it"
_OF_THE_MACHINE = ("scale.cpus_per_worker", "scale.gpus_per_worker")
_OF_A_CLUSTER: Mapping[str, Any] = {
    "scale.labels": {},
    "data.labels": {},
    "scale.autoscaling": False,
    "scale.accelerator_type": "",
    "scale.node_cpus": 0.0,
    "scale.node_memory_gib": 0.0,
    "scale.node_gpus": 0,
    "scale.node_gpu_memory_gib": 0.0,
}


def applied_changes(config: RunConfig, stored: RunConfig) -> dict[str, Any]:
    """The fields of a started run that the command's configuration changes, with their new values.

    A field that was not given keeps what the run had. Other workers or another cluster have each worker's
    CPUs and GPUs decided again; without a cluster nothing chooses among its nodes.

    Raises:
        ConfigError: a field was given that must stay.
    """
    kept = flatten(stored)
    given = {key: value for key, value in given_fields(config).items() if value != kept[key]}
    refused = [
        f"{key}={value} (run: {kept[key]}; {_REASONS.get(key.partition('.')[0], _OTHER_REASON)})"
        for key, value in given.items()
        if not (key.startswith("scale.") or key in _MAY_CHANGE or key in _PLACES or _is_open(key, value))
    ]
    if refused:
        raise ConfigError(
            f"--resume continues a run as it was started; remove {', '.join(refused)}, or start a new run "
            "with another out="
        )
    free = {
        key: value
        for key, value in given.items()
        if key.startswith("scale.") or key in _MAY_CHANGE or key == "data.uri"
    }
    derived: dict[str, Any] = {}
    if free.keys() & {"scale.workers", "scale.address", "scale.gpu"}:
        derived |= dict.fromkeys(_OF_THE_MACHINE, AUTO)
    if "scale.address" in free and free["scale.address"] is None:
        derived |= {key: value for key, value in _OF_A_CLUSTER.items() if value != kept[key]}
    return derived | free


def _is_open(key: str, value: Any) -> bool:
    return value == AUTO or (value is None and key in DECIDED_FIELDS)


def last_epoch(config: RunConfig, state: TrainState) -> int:
    """Epochs in all: as configured, but none that is done is taken back; time does not count them."""
    if config.train.minutes > 0:
        return config.train.epochs
    return max(config.train.epochs, state.epoch)


def explain_changes(
    before: RunConfig, after: RunConfig, state: TrainState, *, train_steps: int, asked: RunConfig
) -> tuple[Decision, ...]:
    """Each field that changed with what it was, and what becomes of the learning rate.

    Args:
        before: of the run so far.
        after: with which it goes on.
        state: where it goes on.
        train_steps: optimiser steps in an epoch.
        asked: the same before any done epoch was kept.
    """
    old, new = flatten(before), flatten(after)
    reasons = {key: f"was {old[key]}" for key in new if new[key] != old[key] and key not in ("out", "name")}
    if "train.epochs" in reasons:
        reasons["train.epochs"] += "; " + _epochs_reason(after, state, train_steps, asked.train.epochs)
    if "train.minutes" in reasons:
        reasons["train.minutes"] += "; " + _minutes_reason(after, state)
    return tuple(Decision(key, new[key], reason) for key, reason in reasons.items())


def _minutes_reason(after: RunConfig, state: TrainState) -> str:
    if not after.train.minutes:
        return f"train.epochs={after.train.epochs} counts from here on"
    left_s = max(after.train.minutes * 60 - state.used_s, 0.0)
    return (
        f"{state.used_s / 60:.1f} are used; the learning rate falls over the {left_s / 60:.1f} that are left"
    )


def _epochs_reason(after: RunConfig, state: TrainState, train_steps: int, asked_epochs: int) -> str:
    epochs, optim = after.train.epochs, after.optim
    if epochs != asked_epochs:
        return f"{asked_epochs} asked for, {state.epoch} done: the run ends here"
    if state.global_step >= epochs * train_steps:
        return "all their steps are done: the run ends here"
    rate = optim.lr * lr_factor(optim, state.global_step, epochs * train_steps)
    return (
        f"optim.schedule={optim.schedule} is that of a run of {epochs} epochs from here on: the next of "
        f"{epochs * train_steps} steps is {state.global_step + 1}, at a learning rate of {rate:.3g}"
    )
