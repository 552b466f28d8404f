"""How good and how fast a network is, in whatever engine it runs.

Shapes: N images, C channels, K classes.
"""

import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from unetpp.data.dataset.sample import Sample
from unetpp.inference.engines.network import Network
from unetpp.models.inference import predict_logits
from unetpp.models.load import LoadedRun
from unetpp.objective.metrics import SegmentationMetrics

__all__ = ["level_scores", "network_scores", "seconds_per_image"]

_ROUNDS = 5
"""In which each network predicts the same images, by turns: what else a machine does hits all of them."""

Key = TypeVar("Key")


@torch.inference_mode()
def level_scores(run: LoadedRun, samples: Sequence[Sample]) -> dict[int, dict[str, float]]:
    """Pooled Dice and IoU of every level of the run's own network, in float32."""
    levels = run.model.supervised_levels
    metrics = SegmentationMetrics(run.manifest.num_classes, levels, run.manifest.task)
    for sample in samples:
        output = predict_logits(
            run.model,
            run.normalise(_raw(sample)),
            window_px=run.config.window_px,
            least_px=run.config.patch_px,
        )
        metrics.update(output, torch.from_numpy(np.array(sample.mask))[None])
    found = metrics.compute([entry.name for entry in run.manifest.classes])["levels"]
    return {level: _picked(found[str(level)]) for level in levels}


@torch.inference_mode()
def network_scores(network: Network, samples: Sequence[Sample]) -> dict[str, float]:
    """Pooled Dice and IoU."""
    manifest = network.manifest
    metrics = SegmentationMetrics(manifest.num_classes, (network.level,), manifest.task)
    for sample in samples:
        metrics.update(network.outputs(_raw(sample)), torch.from_numpy(np.array(sample.mask))[None])
    return _picked(metrics.compute([entry.name for entry in manifest.classes]))


@torch.inference_mode()
def seconds_per_image(networks: Mapping[Key, Network], samples: Sequence[Sample]) -> dict[Key, float]:
    """Median over rounds, in which all predict the same images one after another."""
    taken: dict[Key, list[float]] = {key: [] for key in networks}
    for network in networks.values():
        # An engine makes itself ready for each size that it meets.
        for sample in samples:
            network.outputs(_raw(sample))
    for _ in range(_ROUNDS):
        for key, network in networks.items():
            start = time.perf_counter()
            for sample in samples:
                network.outputs(_raw(sample))
            taken[key].append((time.perf_counter() - start) / len(samples))
    return {key: statistics.median(values) for key, values in taken.items()}


def _raw(sample: Sample) -> Tensor:
    # (*size, C) -> (1, C, *size)
    return torch.from_numpy(np.array(sample.image)).movedim(-1, 0)[None]


def _picked(scores: Mapping[str, Any]) -> dict[str, float]:
    return {"dice": float(scores["dice"]), "iou": float(scores["iou"])}
