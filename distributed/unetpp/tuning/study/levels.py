"""What one training says about each depth that it contains."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import optuna

from unetpp.config.dilations import Dilation, Network, scored_networks
from unetpp.config.sections.tune import MetricName, ObjectiveName

__all__ = [
    "LevelResult",
    "NetworkCost",
    "SharedLatency",
    "costs",
    "headline",
    "level_results",
]

_LATENCY = "latency:"
"""Begins the study's user attributes with what was measured, in seconds."""


class NetworkCost(Protocol):
    """What is read of a `Cost`, so that reading results needs no torch."""

    @property
    def params(self) -> int: ...

    @property
    def macs(self) -> int: ...


@dataclass(frozen=True)
class LevelResult:
    """A trial's sub-network pruned at one level, after one epoch."""

    level: int
    quality: float
    """Value of `tune.metric` on the validation split; more is better."""
    latency_s: float
    """Seconds of one forward pass on one image."""
    params: int
    macs: int
    """Multiply-accumulates of one forward pass on one image."""
    dilation: Dilation | None = None
    """Of its rows 0..level, where the trial's weights are shared by several; the trial's own otherwise."""

    @property
    def network(self) -> Network:
        """Which of the trial's networks it is."""
        return self.level, self.dilation


def level_results(
    metrics: Mapping[str, Any],
    metric: MetricName,
    cost: Mapping[int, NetworkCost],
    latency_s: Mapping[Network, float],
) -> list[LevelResult]:
    """One result per network, in the order of `scored_networks`; empty for an epoch that was not validated.

    Networks that the metric does not apply to, such as shallow ones to labels of whole images, have none.

    Args:
        metrics: an epoch's metrics as the training loop reports them.
        metric: which of them is quality.
        cost: of every supervised level, see `count_cost`.
        latency_s: of every network.
    """
    return [
        LevelResult(
            level, float(values[metric]), latency_s[level, rows], cost[level].params, cost[level].macs, rows
        )
        for (level, rows), values in scored_networks(metrics)
        if metric in values
    ]


def headline(levels: Sequence[LevelResult]) -> LevelResult:
    """The network of best quality; of equals the shallower, which is the cheaper one, then the first."""
    return max(levels, key=lambda result: (_finite(result.quality), -result.level))


def costs(result: LevelResult, objectives: Sequence[ObjectiveName]) -> tuple[float, ...]:
    """Values to be minimised, one per objective; all infinite if the quality is NaN, whatever the price."""
    if math.isnan(result.quality):
        return (math.inf,) * len(objectives)
    values = {
        "quality": -result.quality,
        "latency": result.latency_s,
        "params": float(result.params),
        "macs": float(result.macs),
    }
    return tuple(values[name] for name in objectives)


def _finite(quality: float) -> float:
    """NaN counts as the worst: a diverged trial must not win a comparison."""
    return -math.inf if math.isnan(quality) else quality


class SharedLatency:
    """One latency for equal networks on equal devices: that of whichever trial measures it first.

    Two trials of one architecture differ by the timer's noise. On a front of quality against latency this
    noise alone would put a bad trial beside a good one.
    """

    def __init__(self, study: optuna.Study) -> None:
        self._study = study
        self._known: dict[str, float] = {
            key: value for key, value in study.user_attrs.items() if key.startswith(_LATENCY)
        }

    def of(self, network: str, device: str, measured_s: float) -> float:
        """Seconds of a network on a device, which are `measured_s` if it is new."""
        key = _LATENCY + hashlib.sha256(f"{network} {device}".encode()).hexdigest()[:16]
        if key not in self._known:
            self._known[key] = measured_s
            self._study.set_user_attr(key, measured_s)
        return self._known[key]
