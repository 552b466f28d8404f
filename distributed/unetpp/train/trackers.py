"""Experiment trackers behind one call; a tracker's failure never fails a run."""

import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from unetpp.config.run import RunConfig
from unetpp.config.train import TrackerName
from unetpp.core.rundir import RunDir

__all__ = ["Tracker", "Trackers", "scalars"]

logger = logging.getLogger(__name__)


class Tracker(Protocol):
    """Something that records scalars once per epoch."""

    def log(self, values: Mapping[str, float], step: int) -> None: ...

    def close(self) -> None: ...


class Trackers:
    """Every configured tracker; one that raises is dropped with a warning."""

    def __init__(self, config: RunConfig, run: RunDir) -> None:
        self._live: list[Tracker] = []
        for name in config.train.trackers:
            self._try(name, partial(self._open, name, config, run))

    def log(self, metrics: Mapping[str, Any]) -> None:
        values = dict(scalars(metrics))
        for tracker in list(self._live):
            self._try(tracker, partial(tracker.log, values, int(metrics["step"])))

    def close(self) -> None:
        for tracker in list(self._live):
            self._try(tracker, tracker.close)

    def _open(self, name: TrackerName, config: RunConfig, run: RunDir) -> None:
        self._live.append(_OPEN[name](config, run))

    def _try(self, tracker: Any, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:  # any failure of an outside service must leave training alone
            logger.warning("tracker %s failed and is switched off: %r", _name(tracker), error)
            if tracker in self._live:
                self._live.remove(tracker)


def scalars(metrics: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Numbers of a nested metrics mapping under slash-joined names."""
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            yield from scalars(value, f"{prefix}{name}/")
        elif isinstance(value, int | float):
            yield f"{prefix}{name}", float(value)


def _name(tracker: Any) -> str:
    return tracker if isinstance(tracker, str) else type(tracker).__name__.strip("_").lower()


class _TensorBoard:
    def __init__(self, _: RunConfig, run: RunDir) -> None:
        from tensorboardX import SummaryWriter

        self._run = run
        self._scratch = None if run.storage.is_local else tempfile.TemporaryDirectory()
        folder = Path(self._scratch.name) if self._scratch else run.storage.local_path("tensorboard")
        self._folder = folder
        self._writer = SummaryWriter(str(folder), write_to_disk=True)

    def log(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()
        if self._scratch is not None:
            for path in self._folder.iterdir():
                self._run.storage.put(path, f"tensorboard/{path.name}")

    def close(self) -> None:
        self._writer.close()
        if self._scratch is not None:
            self._scratch.cleanup()


class _Mlflow:
    def __init__(self, config: RunConfig, run: RunDir) -> None:
        import mlflow

        self._mlflow = mlflow
        mlflow.start_run(run_name=run.uri)
        mlflow.log_params({"run": run.uri, "depth": config.model.depth, "dense": config.model.dense})

    def log(self, values: Mapping[str, float], step: int) -> None:
        self._mlflow.log_metrics(dict(values), step=step)

    def close(self) -> None:
        self._mlflow.end_run()


class _Wandb:
    def __init__(self, config: RunConfig, run: RunDir) -> None:
        import wandb

        self._run = wandb.init(name=run.uri, config=config.model_dump(mode="json"))

    def log(self, values: Mapping[str, float], step: int) -> None:
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        self._run.finish()


_OPEN: dict[TrackerName, Callable[[RunConfig, RunDir], Tracker]] = {
    "tensorboard": _TensorBoard,
    "mlflow": _Mlflow,
    "wandb": _Wandb,
}
