"""Numbers for Prometheus, through Ray's metrics agent on each node; Ray puts `ray_` before every name.

Tags are few and short: `run` is the name of the run's or the sweep's folder, `trial` its number in a sweep
(empty without one), `rank` the worker's, `level` 1 to 6, `state` one of six. A run has at most
4 * workers + 10 series, a sweep of n trials n times as many and 9 of its own. No tag holds a URI, since
metrics ports answer everyone.
"""

import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ray
from ray.util import metrics as ray_metrics

from unetpp.core.places import trial_of

__all__ = ["METRICS", "Exporter", "Metric", "RunMetrics", "folder_name"]

logger = logging.getLogger(__name__)

_STEP_INTERVAL_S = 1.0
_NAME_LENGTH = 64


@dataclass(frozen=True)
class Metric:
    description: str
    tags: tuple[str, ...]
    is_counter: bool = False


_WORKER = ("run", "trial", "rank")
_RUN = ("run", "trial")
_SWEEP = ("run",)
METRICS: Mapping[str, Metric] = {
    "unetpp_images_total": Metric("Images trained on by this worker", _WORKER, is_counter=True),
    "unetpp_images_per_second": Metric("Images per second of this worker, over the epoch so far", _WORKER),
    "unetpp_data_wait_ratio": Metric("Share of the epoch's time spent waiting for data", _WORKER),
    "unetpp_loss": Metric("Mean training loss of the epoch so far", _WORKER),
    "unetpp_epoch": Metric("Finished epochs", _RUN),
    "unetpp_dice": Metric("Validation Dice of one level", (*_RUN, "level")),
    "unetpp_cache_hit_ratio": Metric("Share of the epoch's shards found in the node's cache", _RUN),
    "unetpp_nonfinite_steps": Metric("Steps skipped for a NaN or Inf gradient", _RUN),
    "unetpp_trials": Metric("Trials of the sweep in one state", (*_SWEEP, "state")),
    "unetpp_best_value": Metric("Best quality of the sweep so far", _SWEEP),
    "unetpp_trial_hours": Metric("Hours of training of all trials of the sweep", _SWEEP),
    "unetpp_gpu_hours": Metric("GPU-hours of the sweep", _SWEEP),
}


class Exporter:
    """Sets metrics of this process; whatever goes wrong is logged once and ends the export, never the run."""

    def __init__(self) -> None:
        self._live: dict[str, Any] = {}
        # Without Ray, as in a plain test of the loop, there is no agent to export to.
        self._is_on = ray.is_initialized()

    def set(self, values: Mapping[str, float], tags: Mapping[str, str]) -> None:
        """Set gauges, and add to counters, by name."""
        if not self._is_on:
            return
        try:
            for name, value in values.items():
                self._set(name, float(value), dict(tags))
        except Exception as error:  # metrics must leave training alone
            self._is_on = False
            logger.warning("metrics for Prometheus are switched off: %r", error)

    def _set(self, name: str, value: float, tags: dict[str, str]) -> None:
        metric = METRICS[name]
        if name not in self._live:
            kind = ray_metrics.Counter if metric.is_counter else ray_metrics.Gauge
            self._live[name] = kind(name, metric.description, metric.tags)
        if not metric.is_counter:
            self._live[name].set(value, tags)
        elif value > 0:
            self._live[name].inc(value, tags)


class RunMetrics:
    """The metrics of one training worker."""

    def __init__(self, run_uri: str, rank: int, exporter: Exporter) -> None:
        self._exporter = exporter
        self._run = _run_tags(run_uri)
        self._worker = self._run | {"rank": str(rank)}
        self._is_first = rank == 0
        self._last_s = -_STEP_INTERVAL_S
        self._counted = (0, 0)

    def step(self, progress: Mapping[str, Any]) -> None:
        """After a step, with what the loop tells of it; most calls return at once."""
        now = time.monotonic()
        if now - self._last_s < _STEP_INTERVAL_S and progress["step"] < progress["steps"]:
            return
        self._last_s = now
        epoch, images = int(progress["epoch"]), int(progress["images"])
        before = self._counted[1] if self._counted[0] == epoch else 0
        self._counted = (epoch, images)
        self._exporter.set(
            {
                "unetpp_images_total": images - before,
                "unetpp_images_per_second": progress["images_per_s"],
                "unetpp_data_wait_ratio": progress["data_wait"],
                "unetpp_loss": progress["loss"],
            },
            self._worker,
        )

    def epoch(self, metrics: Mapping[str, Any]) -> None:
        """After an epoch; the first rank speaks for all."""
        if not self._is_first:
            return
        values = {"unetpp_epoch": metrics["epoch"], "unetpp_nonfinite_steps": metrics["nonfinite_steps"]}
        if "cache" in metrics:
            values["unetpp_cache_hit_ratio"] = metrics["cache"]["hit_rate"]
        self._exporter.set(values, self._run)
        for level, scores in metrics.get("val", {}).get("levels", {}).items():
            self._exporter.set({"unetpp_dice": scores["dice"]}, self._run | {"level": str(level)})


def folder_name(uri: str) -> str:
    """A tag's value from a URI: its last part, short and plain."""
    return re.sub(r"[^\w.-]", "_", uri.rstrip("/").rpartition("/")[2])[:_NAME_LENGTH]


def _run_tags(run_uri: str) -> dict[str, str]:
    trial = trial_of(run_uri)
    if trial is None:
        return {"run": folder_name(run_uri), "trial": ""}
    sweep, number = trial
    return {"run": folder_name(sweep), "trial": str(number)}
