"""Score every level on the validation split; counts are summed over workers, never averages."""

from collections.abc import Iterable
from typing import Any

import torch

from unetpp.config.run import RunConfig
from unetpp.core.manifest import Manifest
from unetpp.data.stream.batch import HostBatch
from unetpp.models.deployed import autocast, for_inference
from unetpp.models.inference import predict_logits
from unetpp.models.unetpp import UNetPlusPlus
from unetpp.objective.image_labels import ImageLabelMetrics
from unetpp.objective.metrics import SegmentationMetrics
from unetpp.training.loop.collective import sum_over_ranks
from unetpp.training.loop.device_batch import to_device
from unetpp.training.loop.learner import Learner
from unetpp.training.loop.step import DeviceBatch

__all__ = ["Scores", "validate"]


@torch.inference_mode()
def validate(
    learner: Learner, batches: Iterable[HostBatch], manifest: Manifest, config: RunConfig
) -> dict[str, Any]:
    """Score this rank's share of the validation split, images at their own size and as `evaluate` would.

    Returns:
        The same values on every rank, see `Scores.compute`.
    """
    model = for_inference(learner.scored_model, learner.device)
    scores = Scores(model, learner.device, manifest, config)
    for host in batches:
        scores.add(to_device(host, learner, augment=None, seed=0))
    return scores.compute()


class Scores:
    """Of a network, batch by batch.

    Args:
        model: see `for_inference`.
        device: where it is.
        manifest: the dataset.
        config: of the run.
    """

    def __init__(
        self, model: UNetPlusPlus, device: torch.device, manifest: Manifest, config: RunConfig
    ) -> None:
        self._model, self._device = model, device
        self._manifest, self._config = manifest, config
        self._metrics = SegmentationMetrics(manifest.num_classes, model.supervised_levels, manifest.task)
        self._labels = ImageLabelMetrics(len(manifest.image_labels))

    def add(self, batch: DeviceBatch) -> None:
        """Predict and count a batch."""
        with autocast(self._model, self._device):
            output = predict_logits(
                self._model,
                batch.images,
                window_px=self._config.window_px,
                least_px=self._config.patch_px,
            )
        self._metrics.update(output, batch.masks, batch.weights > 0)
        self._labels.update(output, batch.labels, batch.weights > 0)

    def compute(self) -> dict[str, Any]:
        """Over all ranks, each of which must ask.

        Returns:
            See `SegmentationMetrics.compute`; where the network has an image-level head, `image_labels`, see
            `ImageLabelMetrics.compute`, `label_accuracy`, and `dice_and_labels`, its mean with Dice. Where
            `tune.metric` is one of these two, it is among the deepest level's scores too. Where no image that
            was counted has a label, these are left out.
        """
        manifest, device = self._manifest, self._device
        self._metrics.load_state(sum_over_ranks(self._metrics.state().to(device)))
        if manifest.image_labels:
            self._labels.load_state(sum_over_ranks(self._labels.state().to(device)))
        scores = self._metrics.compute([info.name for info in manifest.classes])
        label_scores = self._labels.compute(manifest.image_labels)
        return scores if label_scores is None else self._with_labels(scores, label_scores)

    def _with_labels(self, scores: dict[str, Any], label_scores: dict[str, Any]) -> dict[str, Any]:
        accuracy, metric = label_scores["accuracy"], self._config.tune.metric
        both = {"label_accuracy": accuracy, "dice_and_labels": (scores["dice"] + accuracy) / 2}
        deepest = str(max(self._model.supervised_levels))
        if metric in both:
            scores["levels"][deepest][metric] = both[metric]
        return {**scores, **both, "image_labels": label_scores}
