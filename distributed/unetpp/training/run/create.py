"""A run's folder with all that its first step needs."""

from typing import Any

import safetensors.torch

from unetpp.config.run import RunConfig
from unetpp.core.manifest import Manifest
from unetpp.core.rundir import RunDir
from unetpp.models.initial import encoder_weights

__all__ = ["create_run"]


def create_run(
    config: RunConfig, decisions: list[dict[str, Any]], manifest: Manifest, provenance: dict[str, Any]
) -> None:
    """Claim the run's folder and write what is known before the first step, initial weights included.

    Workers take the weights from there: only this process needs the package or the file that they come from.

    Raises:
        ExistsError: a run is here already.
        ConfigError: the package that ships an encoder's weights is not installed.
    """
    weights = encoder_weights(config.model, manifest)
    RunDir(config.run_uri).create(
        config.model_dump(mode="json"),
        decisions,
        manifest,
        provenance,
        initial=safetensors.torch.save(weights) if weights else None,
    )
