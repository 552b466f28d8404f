"""From host batches to the device: cast, normalise and augment where the network runs."""

import torch
from torch import Tensor

from unetpp.config.sections.data import AugmentConfig
from unetpp.data.stream.batch import HostBatch
from unetpp.training.loop.augment import apply_augment, draw_params
from unetpp.training.loop.learner import Learner
from unetpp.training.loop.step import DeviceBatch

__all__ = ["to_device"]


def to_device(batch: HostBatch, learner: Learner, *, augment: AugmentConfig | None, seed: int) -> DeviceBatch:
    """Move a batch as its raw integers, then normalise and, where asked, augment it.

    The result's images keep the host layout (N, *size, C) in memory, which is channels-last for the network.
    """
    # (N, *size, C) -> (N, C, *size) as a view.
    images = learner.normalise(_copy(torch.from_numpy(batch.images), learner.device).movedim(-1, 1))
    masks = _copy(torch.from_numpy(batch.masks), learner.device)
    if augment is not None:
        params = draw_params(
            augment,
            seed=seed,
            epoch=batch.epoch,
            positions=batch.positions,
            channels=images.shape[1],
            spatial_dims=images.ndim - 2,
        )
        images, masks = apply_augment(images, masks, params)
    return DeviceBatch(
        images=images,
        masks=masks,
        weights=_copy(torch.from_numpy(batch.weights), learner.device),
        labels=_copy(torch.from_numpy(batch.labels), learner.device),
        global_size=batch.global_size,
        counted=int(batch.weights.sum()),
    )


def _copy(values: Tensor, device: torch.device) -> Tensor:
    """From pinned memory, so that the host does not wait for what the device still computes."""
    if device.type != "cuda":
        return values
    return values.pin_memory().to(device, non_blocking=True)
