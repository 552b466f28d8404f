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
from unetpp.training.loop.step import DeviceBatch

__all__ = ["Scores", "validate"]


@torch.no_grad()
def validate(
    learner: Learner, batches: Iterable[HostBatch], manifest: Manifest, window_px: Sequence[int]
) -> dict[str, Any]:
    """Score this rank's share of the validation split, images at their own size.

    Returns:
        The same values on every rank, see `Scores.compute`.
    """
    scores = Scores(learner, manifest, window_px)
    learner.scored_model.eval()
    for host in batches:
        scores.add(to_device(host, learner, augment=None, seed=0))
    learner.scored_model.train()
    return scores.compute()


class Scores:
    """Of the learner's network, batch by batch."""

    def __init__(self, learner: Learner, manifest: Manifest, window_px: Sequence[int]) -> None:
        self._learner, self._manifest, self._window_px = learner, manifest, window_px
        self._metrics = SegmentationMetrics(
            manifest.num_classes, learner.model.supervised_levels, manifest.task
        )
        self._labels = ImageLabelMetrics(len(manifest.image_labels))

    def add(self, batch: DeviceBatch) -> None:
        """Predict and count a batch."""
        with self._learner.autocast():
            output = predict_logits(self._learner.scored_model, batch.images, window_px=self._window_px)
        self._metrics.update(output, batch.masks, batch.weights > 0)
        self._labels.update(output, batch.labels, batch.weights > 0)

    def compute(self) -> dict[str, Any]:
        """Over all ranks, each of which must ask.

        Returns:
            See `SegmentationMetrics.compute`; `image_labels` with the scores of the image-level head where
            the network has one, see `ImageLabelMetrics.compute`.
        """
        manifest, device = self._manifest, self._learner.device
        self._metrics.load_state(sum_over_ranks(self._metrics.state().to(device)))
        if manifest.image_labels:
            self._labels.load_state(sum_over_ranks(self._labels.state().to(device)))
        scores = self._metrics.compute([info.name for info in manifest.classes])
        label_scores = self._labels.compute(manifest.image_labels)
        return scores if label_scores is None else {**scores, "image_labels": label_scores}
