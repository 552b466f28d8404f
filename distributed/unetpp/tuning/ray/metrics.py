"""Prometheus metrics of a sweep, exported by its driver."""

from typing import Any

import ray.tune

from unetpp.training.ray.metrics_export import Exporter, folder_name
from unetpp.tuning.ledger import Ledger
from unetpp.tuning.ray.unsaved import Unsaved

__all__ = ["SweepMetrics", "sweep_values"]

_SECONDS_PER_HOUR = 3600


class SweepMetrics(Unsaved, ray.tune.Callback):  # type: ignore[misc]  # ray is not typed
    """Exports after everything that happens to a trial; Tune passes every argument by name."""

    def __init__(self, ledger: Ledger, exporter: Exporter) -> None:
        self._ledger, self._exporter = ledger, exporter
        self._tags = {"run": folder_name(ledger.setup.sweep_uri)}

    def on_trial_start(self, **_: Any) -> None:
        self._export()

    def on_trial_result(self, **_: Any) -> None:
        self._export()

    def on_trial_complete(self, **_: Any) -> None:
        self._export()

    def on_trial_error(self, **_: Any) -> None:
        self._export()

    def _export(self) -> None:
        for state, count in self._ledger.standings.counts.items():
            self._exporter.set({"unetpp_trials": count}, self._tags | {"state": state})
        self._exporter.set(sweep_values(self._ledger), self._tags)


def sweep_values(ledger: Ledger) -> dict[str, float]:
    """What else a sweep exports, by the metric's name."""
    values = {
        "unetpp_trial_hours": ledger.trial_seconds / _SECONDS_PER_HOUR,
        "unetpp_gpu_hours": ledger.gpu_seconds / _SECONDS_PER_HOUR,
    }
    best = ledger.best()
    return values if best is None else values | {"unetpp_best_value": best.quality}
