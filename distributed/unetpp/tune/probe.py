"""How long an epoch of the base configuration takes here, from a few real steps on made-up pixels."""

import time

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
        concurrent: trials that share this machine's CPU cores; a GPU belongs to one trial.
    """
    device = torch.device("cuda" if config.scale.gpu else "cpu")
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
    # On CPUs the probe had all cores, of which each worker of each trial will have its part.
    slower = 1 if config.scale.gpu else concurrent * config.max_workers
    steps = num_steps(manifest.splits["train"].rows, batch_size, drop_last=config.data.drop_last)
    return min(times[1:]) * slower * steps
