"""Score every vector of dilations that shares the weights, in one pass over the validation split."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch

from unetpp.config.dilations import Dilation, distinct_networks
from unetpp.config.run import RunConfig
from unetpp.core.manifest import Manifest
from unetpp.data.stream.batch import HostBatch
from unetpp.models.deployed import for_inference
from unetpp.training.loop.device_batch import to_device
from unetpp.training.loop.learner import Learner
from unetpp.training.loop.validate import Scores

__all__ = ["validate_shared"]


@torch.inference_mode()
def validate_shared(
    learner: Learner,
    batches: Iterable[HostBatch],
    manifest: Manifest,
    config: RunConfig,
    vectors: Sequence[Dilation],
    metric: str,
) -> dict[str, Any]:
    """Score this rank's share of the validation split at every vector, and leave the learner at the best one.

    Args:
        vectors: at least one; of equals the first is best.
        metric: the score of the deepest level that the best vector is chosen by.

    Returns:
        The scores of the best vector, see `Scores.compute`; `dilation`, that vector; `candidates`, for each
        vector a dict of `dilation` and `levels`, of which each distinct network has one.
    """
    model = for_inference(learner.scored_model, learner.device)
    scores = {vector: Scores(model, learner.device, manifest, config) for vector in vectors}
    for host in batches:
        batch = to_device(host, learner, augment=None, seed=0)
        for vector, counted in scores.items():
            model.set_dilation(vector)
            counted.add(batch)
    found = {vector: counted.compute() for vector, counted in scores.items()}
    best = max(vectors, key=lambda vector: _finite(found[vector].get(metric, math.nan)))
    learner.set_dilation(best)
    candidates = [
        {
            "dilation": list(vector),
            "levels": {str(level): found[vector]["levels"][str(level)] for level in levels},
        }
        for vector, levels in distinct_networks(vectors, learner.model.supervised_levels)
    ]
    return {**found[best], "dilation": list(best), "candidates": candidates}


def _finite(value: float) -> float:
    return -math.inf if math.isnan(value) else value
