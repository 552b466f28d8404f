"""A finished or running run's model, loaded from its verified checkpoint."""

from dataclasses import dataclass

import safetensors.torch

from unetpp.config.run import RunConfig
from unetpp.core.errors import CheckpointError, ConfigError
from unetpp.core.manifest import Manifest
from unetpp.core.rundir import RunDir
from unetpp.models.build import build_model
from unetpp.models.normalise import Normalise
from unetpp.models.unetpp import UNetPlusPlus

__all__ = ["EMA_FILE", "MODEL_FILE", "LoadedRun", "load_run"]

MODEL_FILE = "model.safetensors"
EMA_FILE = "ema.safetensors"


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


def load_run(run_uri: str, *, level: int | None = None) -> LoadedRun:
    """Load a run's best model, pruned to `level` where one is given.

    Raises:
        InputError: no run at that URI.
        CheckpointError: the run has no checkpoint that verifies.
        ConfigError: the level has no head.
    """
    run = RunDir(run_uri).require()
    config = RunConfig.model_validate(run.read_config())
    found = run.checkpoints.best()
    if found is None:
        raise CheckpointError(f"run {run_uri} has no usable checkpoint yet; let it finish an epoch first")
    step, files = found
    model = build_model(config.model)
    model.load_state_dict(safetensors.torch.load(files.get(EMA_FILE, files[MODEL_FILE])))
    if level is not None:
        if level not in model.supervised_levels:
            raise ConfigError(
                f"level={level} has no head; this run has levels {list(model.supervised_levels)}"
            )
        model = model.at_level(level)
    manifest = run.read_dataset()
    return LoadedRun(model.eval(), config, manifest, Normalise(manifest.channel_stats), step)
