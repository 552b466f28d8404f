"""A finished or running run's model, loaded from its verified checkpoint."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import safetensors.torch

from unetpp.config.run import RunConfig
from unetpp.config.stored import stored_config
from unetpp.core.errors import CheckpointError, ConfigError
from unetpp.core.manifest import Manifest
from unetpp.core.rundir import RunDir
from unetpp.models.build import build_model
from unetpp.models.normalise import Normalise
from unetpp.models.unetpp import UNetPlusPlus

__all__ = ["DILATION_FILE", "EMA_FILE", "MODEL_FILE", "LoadedRun", "asked_level", "load_run", "load_whole"]

MODEL_FILE = "model.safetensors"
EMA_FILE = "ema.safetensors"
DILATION_FILE = "dilation.json"
"""Of a run with `model.shared_dilations`: the vector that was best when the checkpoint was made."""


@dataclass(frozen=True)
class LoadedRun:
    """A model ready to predict, with what it was trained on."""

    model: UNetPlusPlus
    """In eval mode; averaged weights where the run kept them."""
    config: RunConfig
    manifest: Manifest
    normalise: Normalise
    step: int
    """Optimiser steps of the checkpoint."""

    @property
    def chosen(self) -> dict[str, list[int]]:
        """`dilation` for a verb's result, where several networks share the weights; else nothing."""
        return {"dilation": list(self.model.dilation)} if self.config.model.shared_dilations else {}


def load_run(run_uri: str, *, level: int | None = None, dilation: Sequence[int] | None = None) -> LoadedRun:
    """Load a run's best model, pruned to `level` where one is given.

    Args:
        dilation: see `load_whole`; where it has the first rows only, the level is theirs unless one is given.

    Raises:
        InputError: no run at that URI.
        CheckpointError: the run has no checkpoint that verifies.
        ConfigError: the level has no head, or the run has no such dilations.
    """
    run = load_whole(run_uri, dilation=dilation)
    asked = asked_level(run.model, level, dilation)
    # All heads stay where nothing was asked for.
    return (
        run if level is None and asked == run.model.depth else replace(run, model=run.model.at_level(asked))
    )


def asked_level(model: UNetPlusPlus, level: int | None, dilation: Sequence[int] | None) -> int:
    """The head that a level and the dilations of the first rows name; the deepest where neither is given.

    Raises:
        ConfigError: it has no head, or rows of it have no dilation.
    """
    rows = model.depth + 1 if dilation is None else len(dilation)
    asked = rows - 1 if level is None else level
    if asked not in model.supervised_levels:
        raise ConfigError(f"level={asked} has no head; this run has levels {list(model.supervised_levels)}")
    if asked >= rows:
        raise ConfigError(f"level={asked} needs a dilation for each row 0..{asked}; it has {rows}; give all")
    return asked


def load_whole(run_uri: str, *, dilation: Sequence[int] | None = None) -> LoadedRun:
    """Load a run's best model with all its heads.

    Args:
        dilation: of a run whose weights several vectors of dilations share, which of them, or its first rows;
            unless given the one that is best at the deepest level.

    Raises:
        InputError: no run at that URI.
        CheckpointError: the run has no checkpoint that verifies.
        ConfigError: the run has no such dilations.
    """
    run = RunDir(run_uri).require()
    config = stored_config(run.read_config(), run_uri)
    found = run.checkpoints.best()
    if found is None:
        raise CheckpointError(f"run {run_uri} has no usable checkpoint yet; let it finish an epoch first")
    step, files = found
    vector = _vector(config, files, dilation)
    config = config.model_copy(update={"model": config.model.model_copy(update={"dilation": vector})})
    model = build_model(config.model)
    model.load_state_dict(safetensors.torch.load(files.get(EMA_FILE, files[MODEL_FILE])))
    manifest = run.read_dataset()
    return LoadedRun(model.eval(), config, manifest, Normalise(manifest.channel_stats), step)


def _vector(
    config: RunConfig, files: Mapping[str, bytes], asked: Sequence[int] | None
) -> int | tuple[int, ...]:
    """The dilations that the weights are used at."""
    shared, own = config.model.shared_dilations, config.model.dilation
    if not shared:
        if asked is not None:
            raise ConfigError(
                f"dilation={list(asked)} chooses among model.shared_dilations; this run has none and was "
                f"trained at dilation {own}; leave it out"
            )
        return own
    if asked is None:
        if DILATION_FILE not in files:
            raise CheckpointError(
                f"a checkpoint of model.shared_dilations must name its best vector in {DILATION_FILE}; it "
                "has no such file; name one with dilation"
            )
        return tuple(json.loads(files[DILATION_FILE]))
    for vector in shared:
        if vector[: len(asked)] == tuple(asked):
            return vector
    shown = ", ".join(str(list(vector)) for vector in shared)
    raise ConfigError(f"dilation={list(asked)} must be one of the run's vectors or its first rows: {shown}")
