"""One optimiser step on one worker's share of a global batch; no Ray.

The loss of a global batch is the mean of its samples' losses. Each worker sums its own samples, scaled
so that DDP's average over workers is that mean: the step is the same for any number of workers.
"""

import contextlib
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from unetpp.config.dilations import Dilation
from unetpp.core.seeds import derive_seed
from unetpp.training.loop.learner import Learner
from unetpp.training.loop.update import StepResult, update

__all__ = ["DeviceBatch", "train_step"]


@dataclass(frozen=True)
class DeviceBatch:
    """A worker's share of a global batch, ready for the network.

    Shapes: images float32 (N, C, *size), masks uint8 (N, *size), weights float32 (N,), labels int64 (N,).
    """

    images: Tensor
    masks: Tensor
    weights: Tensor
    labels: Tensor
    global_size: int
    counted: int
    """Samples whose weight is not 0, counted on the host."""


def train_step(
    learner: Learner,
    batch: DeviceBatch,
    *,
    accumulate: int,
    clip: float,
    world_size: int,
    seed: tuple[int, int, int],
    dilations: Sequence[Dilation] = (),
) -> StepResult:
    """Forward, backward and update, skipped where the gradient is not finite.

    DDP averages gradients before they are looked at, so a NaN on one rank is a NaN on all and every rank
    skips the same step without another collective.

    Args:
        seed: (run seed, steps of the run before this one, rank), from which dropout draws.
        dilations: the step's loss is the mean over these; empty leaves the network as it is.
    """
    torch.manual_seed(derive_seed("dropout", *seed))
    # A non-finite activation would stay in the running statistics of batch norm for ever.
    buffers = [buffer.clone() for buffer in learner.model.buffers()]
    learner.optimizer.zero_grad(set_to_none=True)
    loss_sum = torch.zeros((), device=learner.device)
    own, share = learner.model.dilation, 1 / max(len(dilations), 1)
    passes = list(itertools.product(dilations or (None,), _parts(batch, accumulate)))
    for number, (dilation, part) in enumerate(passes, start=1):
        is_last = number == len(passes)
        if dilation is not None:
            learner.set_dilation(dilation)
        sync = contextlib.nullcontext() if is_last else _no_sync(learner)
        with sync:
            uneven = batch.global_size % world_size != 0
            with learner.autocast(), learner.counted.of(part.weights, uneven=uneven):
                output = learner.network(part.images)
            losses = learner.objective(output, part.masks, part.labels) * part.weights
            loss = losses.sum() * (share * world_size / batch.global_size)
            loss.backward()
        loss_sum += share * losses.detach().sum()
    if dilations:
        learner.set_dilation(own)
    norm = torch.nn.utils.clip_grad_norm_(learner.model.parameters(), clip if clip > 0 else math.inf)
    update(learner, norm, buffers)
    learner.schedule.step()
    return StepResult(batch.counted, loss_sum, norm, step=seed[1] + 1)


def _parts(batch: DeviceBatch, count: int) -> list[DeviceBatch]:
    columns = (batch.images, batch.masks, batch.weights, batch.labels)
    chunks = zip(*(column.chunk(count) for column in columns), strict=True)
    return [DeviceBatch(i, m, w, y, batch.global_size, batch.counted) for i, m, w, y in chunks]


def _no_sync(learner: Learner) -> contextlib.AbstractContextManager[None]:
    network = learner.network
    return network.no_sync() if isinstance(network, DistributedDataParallel) else contextlib.nullcontext()
