"""From host batches to the device: cast, normalise, augment and attack where the network runs."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unetpp.config.run import RunConfig
from unetpp.config.sections.data import AugmentConfig
from unetpp.core.seeds import derive_seed, rng
from unetpp.data.stream.batch import HostBatch
from unetpp.objective.attacks.attack import bounds_of
from unetpp.objective.attacks.perturb import perturb
from unetpp.training.loop.augment import apply_augment, draw_params
from unetpp.training.loop.learner import Learner
from unetpp.training.loop.step import DeviceBatch

__all__ = ["attacked", "to_device"]


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


def attacked(
    batch: DeviceBatch, epoch: int, positions: NDArray[np.int64], learner: Learner, config: RunConfig
) -> DeviceBatch:
    """The batch with some images changed by `learner.attack`; as it is where there is none.

    Which ones, and where their attacks start, is drawn from (seed, epoch, position) as augmentation is. The
    network attacked is the one that learns, in eval mode: an image is then changed alike in any batch, and
    neither dropout nor running statistics take part.

    Args:
        batch: on the device.
        epoch: of the batch.
        positions: (N,) of its samples in the epoch.
        learner: what is attacked.
        config: of the run.
    """
    attack, seed = learner.attack, config.data.seed
    if attack is None:
        return batch
    draws = [rng("attack", seed, epoch, position).random() for position in positions.tolist()]
    chosen = [row for row, draw in enumerate(draws) if draw < config.adversarial.share]
    if not chosen:
        return batch
    images, was_training = batch.images.clone(), learner.model.training
    bounds = bounds_of(attack, learner.normalise, images)
    at_once = -(-len(images) // config.train.accumulate)
    learner.model.eval()
    for first in range(0, len(chosen), at_once):
        rows = chosen[first : first + at_once]
        seeds = [derive_seed("attack start", seed, epoch, int(positions[row])) for row in rows]
        with learner.autocast():
            images[rows] = perturb(
                learner.model,
                images[rows],
                batch.masks[rows],
                attack,
                bounds,
                learner.objective.task,
                _starts(images[rows], seeds) if attack.starts_at_random else None,
            )
    learner.model.train(was_training)
    return replace(batch, images=images)


def _starts(images: Tensor, seeds: list[int]) -> Tensor:
    """Uniform in [-1, 1], float32 of the images' shape, a seed for each."""
    starts = torch.empty_like(images)
    for row, seed in zip(starts, seeds, strict=True):
        row.uniform_(-1, 1, generator=torch.Generator(device=images.device).manual_seed(seed))
    return starts


def _copy(values: Tensor, device: torch.device) -> Tensor:
    """From pinned memory, so that the host does not wait for what the device still computes."""
    if device.type != "cuda":
        return values
    return values.pin_memory().to(device, non_blocking=True)
