"""Experiment trackers behind one call; a tracker's failure never fails a run."""

import logging
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from unetpp.config.run import RunConfig
from unetpp.config.sections.train import TrackerName
from unetpp.core.rundir import RunDir

__all__ = ["Tracker", "Trackers", "scalars"]

logger = logging.getLogger(__name__)


class Tracker(Protocol):
    """Something that records scalars once per epoch."""

    def log(self, values: Mapping[str, float], step: int) -> None: ...

    def close(self, *, finished: bool) -> None: ...


class Trackers:
    """Every configured tracker; one that raises is closed and dropped with a warning.

    A resumed run goes on in the tracker's own run, whose id is kept in the run folder from its first moment.
    """

    def __init__(self, config: RunConfig, run: RunDir) -> None:
        self._live: dict[str, Tracker] = {}
        try:
            for name in config.train.trackers:
                self._open(name, config, run)
        except BaseException:
            self.close(finished=False)
            raise

    def log(self, metrics: Mapping[str, Any]) -> None:
        """Record the numbers of an epoch."""
        values = dict(scalars(metrics))
        for name, tracker in list(self._live.items()):
            with _switched_off(name) as failure:
                tracker.log(values, int(metrics["step"]))
            if failure:
                self._close(name, finished=False)

    def close(self, *, finished: bool) -> None:
        """End the trackers' runs; `finished` tells those from runs that stopped before their end."""
        for name in list(self._live):
            self._close(name, finished=finished)

    def _open(self, name: TrackerName, config: RunConfig, run: RunDir) -> None:
        with _switched_off(name):
            self._live[name] = _OPEN[name](config, run)

    def _close(self, name: str, *, finished: bool) -> None:
        with _switched_off(name):
            self._live.pop(name).close(finished=finished)


@contextmanager
def _switched_off(name: str) -> Iterator[list[Exception]]:
    """Any failure of an outside service leaves training alone; it is in what this yields."""
    failures: list[Exception] = []
    try:
        yield failures
    except Exception as error:
        failures.append(error)
        logger.warning("tracker %s failed and is switched off: %r", name, error)


def scalars(metrics: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Numbers of a nested metrics mapping under slash-joined names."""
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            yield from scalars(value, f"{prefix}{name}/")
        elif isinstance(value, int | float):
            yield f"{prefix}{name}", float(value)


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

    def close(self, *, finished: bool) -> None:  # noqa: ARG002 - event files know no such state
        self._writer.close()
        if self._scratch is not None:
            self._scratch.cleanup()


class _Mlflow:
    def __init__(self, config: RunConfig, run: RunDir) -> None:
        import mlflow

        self._mlflow = mlflow
        known = run.read_trackers().get("mlflow")
        self._id: str = mlflow.start_run(run_id=known, run_name=None if known else run.uri).info.run_id
        if known is not None:
            return
        try:
            _keep(run, "mlflow", self._id)
            mlflow.log_params({"run": run.uri, "depth": config.model.depth, "dense": config.model.dense})
        except BaseException:
            self.close(finished=False)
            raise

    def log(self, values: Mapping[str, float], step: int) -> None:
        self._mlflow.log_metrics(dict(values), step=step, run_id=self._id)

    def close(self, *, finished: bool) -> None:
        self._mlflow.end_run("FINISHED" if finished else "KILLED")


class _Wandb:
    def __init__(self, config: RunConfig, run: RunDir) -> None:
        import wandb

        known = run.read_trackers().get("wandb")
        if known is not None:
            self._run = wandb.init(id=known, resume="allow")
            return
        new = uuid.uuid4().hex
        _keep(run, "wandb", new)
        self._run = wandb.init(id=new, name=run.uri, config=config.model_dump(mode="json"))

    def log(self, values: Mapping[str, float], step: int) -> None:
        self._run.log(dict(values), step=step)

    def close(self, *, finished: bool) -> None:
        self._run.finish(exit_code=int(not finished))


def _keep(run: RunDir, name: TrackerName, tracker_id: str) -> None:
    run.write_trackers(run.read_trackers() | {name: tracker_id})


_OPEN: dict[TrackerName, Callable[[RunConfig, RunDir], Tracker]] = {
    "tensorboard": _TensorBoard,
    "mlflow": _Mlflow,
    "wandb": _Wandb,
}
