"""Tune's callbacks as the few events that someone who watches a sweep wants."""

from collections.abc import Callable
from typing import Any

from ray.tune.progress_reporter import TrialProgressCallback

from unetpp.tuning.listener import SweepListener
from unetpp.tuning.ray.trainable import reported_metrics
from unetpp.tuning.ray.unsaved import Unsaved

__all__ = ["SweepEvents"]


class SweepEvents(Unsaved, TrialProgressCallback):  # type: ignore[misc]  # ray is not typed
    """Runs in the driver, after the ledger has been told; Tune passes every argument by name.

    It takes the place of Tune's own progress, which prints trials that end without a report on stdout however
    silent it is asked to be.
    """

    def __init__(
        self,
        listener: SweepListener,
        has_failed: Callable[[int], bool],
        is_paused: Callable[[int], bool] = lambda _: False,
    ) -> None:
        super().__init__()
        self._listener, self._has_failed, self._is_paused = listener, has_failed, is_paused

    def on_trial_start(self, trial: Any, **_: Any) -> None:
        self._listener.started(_number(trial), trial.config["config"])

    def on_trial_result(self, trial: Any, result: dict[str, Any], **_: Any) -> None:
        self._listener.epoch(_number(trial), reported_metrics(result))

    def on_trial_complete(self, trial: Any, **_: Any) -> None:
        number = _number(trial)
        if self._has_failed(number):
            self._listener.failed(number)
        elif not self._is_paused(number):
            self._listener.ended(number)

    def on_trial_error(self, trial: Any, **_: Any) -> None:
        self._listener.failed(_number(trial))


def _number(trial: Any) -> int:
    return int(trial.config["number"])
