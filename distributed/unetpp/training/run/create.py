"""A run's folder with all that its first step needs."""

from dataclasses import asdict
from typing import Any

import safetensors.torch

from unetpp.config import Decision, RunConfig
from unetpp.core.manifest import Manifest
from unetpp.core.rundir import RunDir
from unetpp.models.initial import initial_weights

__all__ = ["create_run"]


def create_run(
    config: RunConfig, decisions: list[dict[str, Any]], manifest: Manifest, provenance: dict[str, Any]
) -> tuple[Decision, ...]:
    """Claim the run's folder and write what is known before the first step, initial weights included.

    Workers take the weights from there: only this process needs the package or the file that they come from.

    Args:
        decisions: as `decisions.json` holds them.

    Returns:
        What `train.init` gave, kept beside the decisions; nothing without it.

    Raises:
        ExistsError: a run is here already.
        ConfigError: nothing of `train.init` fits, or the package that ships an encoder's weights is missing.
        InputError: `train.init` cannot be read.
    """
    source = config.train.init
    initial = initial_weights(config.model, manifest, source)
    given = (Decision("train.init", source, initial.told),) if source else ()
    others = [entry for entry in decisions if entry["field"] != "train.init"]
    RunDir(config.run_uri).create(
        config.model_dump(mode="json"),
        [*others, *map(asdict, given)],
        manifest,
        provenance,
        initial=safetensors.torch.save(initial.weights) if initial.weights else None,
    )
    return given
