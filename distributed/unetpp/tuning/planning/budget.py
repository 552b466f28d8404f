"""When a sweep ends, and how long it will take."""

import math
from dataclasses import dataclass

from unetpp.config.sections.tune import TuneConfig

__all__ = ["Budget", "budget_of", "estimate", "expected_epochs"]


@dataclass(frozen=True)
class Budget:
    """Limits of a sweep beside its number of trials; 0 is none."""

    hours: float = 0.0
    gpu_hours: float = 0.0
    target: float = 0.0
    """Quality that is enough."""

    def exhausted(self, now_s: float, gpu_seconds: float, best: float | None) -> str | None:
        """Why no further trial may start, or None.

        Args:
            now_s: seconds the sweep has run, before a resume and after it.
            gpu_seconds: GPU time of all trials so far.
            best: best quality so far.
        """
        if self.target and best is not None and best >= self.target:
            return f"quality {best:.4f} reached tune.target={self.target:g}"
        if self.hours and now_s >= self.hours * 3600:
            return f"{now_s / 3600:.2f} h reached tune.hours={self.hours:g}"
        if self.gpu_hours and gpu_seconds >= self.gpu_hours * 3600:
            return f"{gpu_seconds / 3600:.2f} GPU-hours reached tune.gpu_hours={self.gpu_hours:g}"
        return None


def budget_of(config: TuneConfig) -> Budget:
    """The limits that a configuration sets."""
    return Budget(config.hours, config.gpu_hours, config.target)


def expected_epochs(epochs: int, tune: TuneConfig) -> float:
    """Epochs of the average trial if every rung keeps exactly its share; median is taken to keep half."""
    if tune.scheduler == "none":
        return float(epochs)
    first = min(tune.grace_epochs, epochs)
    if tune.scheduler == "median":
        return first + (epochs - first) / 2
    mean, share, reached, rung = 0.0, 1.0, 0, first
    while rung < epochs:
        mean += share * (rung - reached)
        share, reached, rung = share / tune.reduction_factor, rung, rung * tune.reduction_factor
    return mean + share * (epochs - reached)


def estimate(seconds_per_epoch: float, epochs: int, concurrent: int, tune: TuneConfig) -> str:
    """A sentence with the sweep's expected duration and how it came about."""
    mean = expected_epochs(epochs, tune)
    seconds = seconds_per_epoch * mean * math.ceil(tune.trials / concurrent)
    return (
        f"about {_duration(seconds)}: {tune.trials} trials, {concurrent} at a time, {mean:.1f} of {epochs} "
        f"epochs each on average (tune.scheduler={tune.scheduler}), {seconds_per_epoch:.1f} s per epoch"
    )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
