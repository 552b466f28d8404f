"""The duration estimate of a sweep: a few real steps on made-up pixels, times the expected epochs."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from unetpp.config.planning.hardware import available_cpus
from unetpp.config.planning.shares import worker_threads
from unetpp.config.run import RunConfig
from unetpp.config.sections.tune import TuneConfig
from unetpp.core.manifest import Manifest
from unetpp.data.stream.order import num_steps
from unetpp.training.loop.device_batch import attacked
from unetpp.training.loop.learner import Learner
from unetpp.training.loop.step import DeviceBatch, train_step

__all__ = ["estimate", "estimate_of_minutes", "expected_epochs", "gpu_cost", "seconds_per_epoch"]

_TIMED_STEPS = 2


def seconds_per_epoch(config: RunConfig, manifest: Manifest, concurrent: int) -> float:
    """Training seconds of one epoch on this machine; reading and validation are not in it.

    Args:
        config: every `auto` decided.
        manifest: the dataset.
        concurrent: trials at once, which share this machine unless it is a cluster's.
    """
    device = torch.device("cuda" if config.scale.gpu else "cpu")
    cores, processes = available_cpus(), concurrent * config.max_workers
    with _threads(worker_threads(config, cores, processes)):
        step_s = _step_seconds(config, manifest, device)
    batch_size = int(config.data.batch_size)
    steps = num_steps(manifest.splits["train"].rows, batch_size, drop_last=config.data.drop_last)
    return step_s * _sharing(config, cores, processes) * steps


def _sharing(config: RunConfig, cores: int, processes: int) -> float:
    """Workers that take turns on one GPU, or on one core."""
    if config.scale.gpu:
        return max(1.0, 1 / float(config.scale.gpus_per_worker))
    here = config.scale.address is None
    return max(1.0, processes / cores if here else 1 / float(config.scale.cpus_per_worker))


def _step_seconds(config: RunConfig, manifest: Manifest, device: torch.device) -> float:
    learner = Learner(config, manifest, total_steps=_TIMED_STEPS + 1, device=device)
    batch_size, size_px = int(config.data.batch_size), config.patch_px
    share = -(-batch_size // config.max_workers)
    batch = DeviceBatch(
        images=torch.randn(share, manifest.channels, *size_px, device=device),
        masks=torch.randint(0, 2, (share, *size_px), dtype=torch.uint8, device=device),
        weights=torch.ones(share, device=device),
        labels=torch.full((share,), -1, device=device),
        global_size=share,
        counted=share,
    )
    times = []
    for step in range(_TIMED_STEPS + 1):
        started_s = time.perf_counter()
        train_step(
            learner,
            attacked(batch, 0, np.arange(share), learner, config),
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


def expected_epochs(epochs: int, tune: TuneConfig) -> float:
    """Epochs of the average trial if every rung keeps exactly its share; median is taken to keep half.

    What curves stops depends on the trials: it is taken to stop none.
    """
    if tune.scheduler in ("none", "curves", "pbt"):
        return float(epochs)
    first = min(tune.grace_epochs, epochs)
    if tune.scheduler == "median":
        return first + (epochs - first) / 2
    mean, share, reached, rung = 0.0, 1.0, 0, first
    while rung < epochs:
        mean += share * (rung - reached)
        share, reached, rung = share / tune.reduction_factor, rung, rung * tune.reduction_factor
    return mean + share * (epochs - reached)


def estimate(
    seconds_per_epoch: float, epochs: int, concurrent: int, tune: TuneConfig, *, gpus: float = 0.0
) -> str:
    """A sentence with the sweep's expected duration, how it came about, and its price where that is known.

    Args:
        gpus: of a trial.
    """
    mean = expected_epochs(epochs, tune)
    seconds = seconds_per_epoch * mean * math.ceil(tune.trials / concurrent)
    return (
        f"about {_duration(seconds)}: {tune.trials} trials, {concurrent} at a time, {mean:.1f} of {epochs} "
        f"epochs each on average (tune.scheduler={tune.scheduler}), {seconds_per_epoch:.1f} s per epoch"
        f"{_price(tune.trials * mean * seconds_per_epoch * gpus, tune)}"
    )


def estimate_of_minutes(minutes: float, concurrent: int, tune: TuneConfig, *, gpus: float = 0.0) -> str:
    """The same where each trial goes by `train.minutes`; none is stopped early."""
    seconds = 60 * minutes * math.ceil(tune.trials / concurrent)
    return (
        f"about {_duration(seconds)}: {tune.trials} trials of {minutes:g} minutes, {concurrent} at a time"
        f"{_price(tune.trials * 60 * minutes * gpus, tune)}"
    )


def _price(gpu_seconds: float, tune: TuneConfig) -> str:
    if not tune.price_per_gpu_hour:
        return ""
    cost = gpu_cost(gpu_seconds, tune)
    rate = f"tune.price_per_gpu_hour={tune.price_per_gpu_hour:g}"
    return f"; {cost['gpu_hours']:.2f} GPU-hours, {cost['price']:.2f} at {rate}"


def gpu_cost(gpu_seconds: float, tune: TuneConfig) -> dict[str, float]:
    """gpu_hours, and price in the currency of `tune.price_per_gpu_hour`."""
    gpu_hours = gpu_seconds / 3600
    return {"gpu_hours": gpu_hours, "price": gpu_hours * tune.price_per_gpu_hour}


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
