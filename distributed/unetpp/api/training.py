"""One training from a configuration to its result: plan, claim, connect, fit."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from unetpp.api.import_ahead import import_ahead
from unetpp.api.machines import LOST_CLUSTER, hardware_for, is_cluster_gone, resumed_here
from unetpp.api.watchers import TrainListener, TrainWatcher
from unetpp.config import Decision, Hardware, RunConfig, given_fields
from unetpp.config.planning.placement import waiting
from unetpp.core.commands import shown_command
from unetpp.core.manifest import Manifest
from unetpp.core.ownership import Ownership
from unetpp.core.rundir import RunDir, epochs_done
from unetpp.training.run.job import TrainJob
from unetpp.training.run.listener import Listener
from unetpp.training.run.prepare import new_run, resumed_config, resumed_run
from unetpp.training.run.result import summarise
from unetpp.training.run.saved_state import last_state

__all__ = ["Fit", "StartUpTimer", "late_start", "train_run"]


Fit = Callable[[TrainJob, str | None, Listener], bool]
"""Trains a job with the Ray at an address, heard by a listener; False after a clean stop."""


def train_run(
    config: RunConfig,
    watcher: TrainWatcher,
    *,
    resume: bool,
    manifest: Manifest | None = None,
    fit: Fit | None = None,
) -> dict[str, Any]:
    """Train as configured, in this process's Ray or on the cluster at `scale.address`.

    Args:
        config: of the run, or of what is given beside `resume`.
        watcher: hears of it.
        resume: go on with the run at the configured place.
        manifest: see `new_run`.
        fit: by default on Ray.

    Returns:
        See `unetpp.training.run.result.summarise`; `finished` is False after a clean stop.

    Raises:
        UserError: something the caller can fix, such as a run that another process works on.
    """
    started_s, began_at = time.monotonic(), time.time()
    base = resumed_config(config) if resume else config
    if resume and "scale.address" not in given_fields(config) and is_cluster_gone(base):
        watcher.note(LOST_CLUSTER)
        config = resumed_here(config)
        base = resumed_config(config)
    with Ownership() as owner, hardware_for(base.scale) as hardware:
        prepare = resumed_run if resume else partial(new_run, manifest=manifest)
        job, decisions = prepare(config, hardware, owner)
        job = replace(job, began_at=began_at)
        _tell(job, decisions, hardware, watcher, resume=resume)
        if resume and (ended := _ended(job, watcher)) is not None:
            return ended
        first_epoch = epochs_done(RunDir(job.run_uri).read_metrics())
        with watcher.training(job.config.train.counted_epochs, first_epoch) as listener:
            timed = StartUpTimer(listener)
            finished = (fit or _fit)(job, base.scale.address, timed)
        if late := late_start(job, timed.start_up_s):
            watcher.note(late)
        owner.require()
        wall_s = time.monotonic() - started_s
        return summarise(job, finished=finished, wall_s=wall_s, start_up_s=timed.start_up_s)


def _tell(
    job: TrainJob,
    decisions: Sequence[Decision],
    hardware: Hardware,
    watcher: TrainWatcher,
    *,
    resume: bool,
) -> None:
    if resume:
        watcher.note(f"continuing {job.config.run_uri}")
    watcher.decided(decisions, resumed=resume)
    address = job.config.scale.address
    if resume and address is not None and "scale.address" not in {decision.field for decision in decisions}:
        watcher.note(f"on the cluster at {address}, as before; scale.address=none trains in this process")
    if missing := waiting(job.config, hardware, 1):
        watcher.note(missing)


def late_start(job: TrainJob, start_up_s: float | None) -> str:
    """What to do where more than half of a run's minutes went by before its first step; else empty."""
    minutes = job.config.train.minutes
    left_s = 60 * minutes - job.used_before_s
    if not minutes or start_up_s is None or start_up_s <= left_s / 2:
        return ""
    wanted = math.ceil((job.used_before_s + 2 * start_up_s) / 60 + minutes)
    again = shown_command("train", f"out={job.config.run_uri}", "--resume", f"train.minutes={wanted}")
    return (
        f"workers were ready after {start_up_s:.0f} of {left_s:.0f} s, which left little time to learn; "
        f"go on with {again}"
    )


def _fit(job: TrainJob, address: str | None, listener: Listener) -> bool:
    """Connect and train; Ray comes in here and not above, so that mistakes are told at once."""
    import_ahead("pandas")
    from unetpp.launch.connect import connected

    scale = job.config.scale
    with connected(address, workers=job.config.max_workers, cpus_per_worker=float(scale.cpus_per_worker)):
        from unetpp.training.ray.trainer import fit

        return fit(job, listener)


def _ended(job: TrainJob, watcher: TrainWatcher) -> dict[str, Any] | None:
    """The result of a run of which nothing is left to train."""
    run = RunDir(job.run_uri)
    done, reason = run.read_result(), last_state(run).ended_by(job.config.train)
    if done is None and reason is None:
        return None
    why = "" if reason is None else f": {reason}"
    watcher.note(f"{job.run_uri} has finished; nothing is left to train{why}")
    return done or summarise(job, finished=True, wall_s=0.0, start_up_s=None)


class StartUpTimer:
    """Times the start of a training's workers, tells its listener and hands on to it."""

    def __init__(self, listener: TrainListener) -> None:
        self._began_s = time.monotonic()
        self.start_up_s: float | None = None
        """From here to the first progress of a worker."""
        self.warning, self.stopping = listener.warning, listener.stopping
        self._listener = listener

    def progress(self, values: dict[str, Any]) -> None:
        self._note_start()
        self._listener.progress(values)

    def epoch(self, metrics: dict[str, Any]) -> None:
        self._note_start()
        self._listener.epoch(metrics)

    def _note_start(self) -> None:
        if self.start_up_s is None:
            self.start_up_s = time.monotonic() - self._began_s
            self._listener.ready(self.start_up_s)
