"""Score every level on the validation split; counts are summed over workers, never averages."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch

from unetpp.core.manifest import Manifest
from unetpp.data.stream.batch import HostBatch
from unetpp.models.inference import predict_logits
from unetpp.objective.image_labels import ImageLabelMetrics
from unetpp.objective.metrics import SegmentationMetrics
from unetpp.training.loop.collective import sum_over_ranks
from unetpp.training.loop.device_batch import to_device
from unetpp.training.loop.learner import Learner

__all__ = ["validate"]


@torch.no_grad()
def validate(
    learner: Learner, batches: Iterable[HostBatch], manifest: Manifest, window_px: Sequence[int]
) -> dict[str, Any]:
    """Score this rank's share of the validation split, images at their own size.

    Returns:
        The same values on every rank, see `SegmentationMetrics.compute`; `image_labels` with the scores of
        the image-level head where the network has one, see `ImageLabelMetrics.compute`.
    """
    model = learner.scored_model
    levels = learner.model.supervised_levels
    metrics = SegmentationMetrics(manifest.num_classes, levels, manifest.task)
    labels = ImageLabelMetrics(len(manifest.image_labels))
    model.eval()
    for host in batches:
        batch = to_device(host, learner, augment=None, seed=0)
        with learner.autocast():
            output = predict_logits(model, batch.images, window_px=window_px)
        metrics.update(output, batch.masks, batch.weights > 0)
        labels.update(output, batch.labels, batch.weights > 0)
    model.train()
    metrics.load_state(sum_over_ranks(metrics.state().to(learner.device)))
    if manifest.image_labels:
        labels.load_state(sum_over_ranks(labels.state().to(learner.device)))
    scores = metrics.compute([info.name for info in manifest.classes])
    label_scores = labels.compute(manifest.image_labels)
    return scores if label_scores is None else {**scores, "image_labels": label_scores}
