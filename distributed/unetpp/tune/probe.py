"""How long an epoch of the base configuration takes here, from a few real steps on made-up pixels."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from unetpp.config.run import RunConfig
from unetpp.core.manifest import Manifest
from unetpp.data.order import num_steps
from unetpp.train.learner import Learner
from unetpp.train.step import DeviceBatch, train_step

__all__ = ["seconds_per_epoch"]

_TIMED_STEPS = 2


def seconds_per_epoch(config: RunConfig, manifest: Manifest, concurrent: int) -> float:
    """Training seconds of one epoch; reading and validation are not in it.

    Args:
        config: every `auto` decided.
        manifest: the dataset.
        concurrent: trials that share this machine's CPU cores; a GPU is shared by parts.
    """
    device = torch.device("cuda" if config.scale.gpu else "cpu")
    cores, processes = os.cpu_count() or 1, concurrent * config.max_workers
    with _threads(max(1, cores // processes)):
        step_s = _step_seconds(config, manifest, device)
    # Processes beyond the cores take turns, as do those that share a GPU.
    gpu_sharing = max(1.0, 1 / float(config.scale.gpus_per_worker))
    slower = gpu_sharing if config.scale.gpu else max(1.0, processes / cores)
    batch_size = int(config.data.batch_size)
    steps = num_steps(manifest.splits["train"].rows, batch_size, drop_last=config.data.drop_last)
    return step_s * slower * steps


def _step_seconds(config: RunConfig, manifest: Manifest, device: torch.device) -> float:
    learner = Learner(config, manifest, total_steps=_TIMED_STEPS + 1, device=device)
    batch_size, side = int(config.data.batch_size), int(config.data.crop)
    share = -(-batch_size // config.max_workers)
    batch = DeviceBatch(
        images=torch.randn(share, manifest.channels, side, side, device=device),
        masks=torch.randint(0, 2, (share, side, side), dtype=torch.uint8, device=device),
        weights=torch.ones(share, device=device),
        labels=torch.full((share,), -1, device=device),
        global_size=share,
    )
    times = []
    for step in range(_TIMED_STEPS + 1):
        started_s = time.perf_counter()
        train_step(
            learner,
            batch,
            accumulate=config.train.accumulate,
            clip=config.train.clip,
            world_size=1,
            seed=(0, step, 0),
        )
        times.append(time.perf_counter() - started_s)
    return min(times[1:])


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """As many torch threads as a process of the sweep will have."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
