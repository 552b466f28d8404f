"""A training run on a connected Ray: Ray Train, progress to a listener, clean stop on Ctrl-C."""

import logging
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import fsspec.core
import pyarrow.fs
import ray
from ray.train import FailureConfig, RunConfig, ScalingConfig

from unetpp.compat.ray_train import Trainer
from unetpp.core.errors import UnetppError, own_error
from unetpp.core.places import trial_of
from unetpp.core.rundir import RunDir
from unetpp.core.storage import Storage, open_storage
from unetpp.training.ray.board import ProgressBoard, remove_placement_groups, start_beside_caller
from unetpp.training.ray.entry import WorkerArguments, train_worker
from unetpp.training.ray.failures import WorkerFailureCallback
from unetpp.training.ray.process_group import ProcessGroup
from unetpp.training.run.job import TrainJob
from unetpp.training.run.listener import Listener

__all__ = ["fit"]

logger = logging.getLogger(__name__)

_POLL_S = 0.2
_STOP_TIMEOUT_S = 60
_COLLECTIVE_TIMEOUT_S = 600
_PLACEMENT_TRIES = 60
"""Of 10 s each on a cluster: a run waits ten minutes for room. All of a run's tries count together, and an
elastic run needs up to four after each lost node."""


def fit(job: TrainJob, listener: Listener, *, concurrent: int = 1) -> bool:
    """Train and return whether the run finished; False after a clean stop.

    The first Ctrl-C stops before the next step with a checkpoint, the second at once.

    Args:
        job: what to train.
        listener: hears of it.
        concurrent: trainings that share the machines, this one included.

    Raises:
        UnetppError: an error of a worker that it would meet again, or the workers failed more often than
            `scale.max_failures`.
    """
    scratch = _scratch(job)
    board = start_beside_caller(ProgressBoard)
    try:
        error, stopped = _run(lambda: _trainer(job, board, scratch, concurrent).fit(), board, listener)
    finally:
        ray.kill(board)
        scratch.delete("")
    if error is None:
        return not stopped
    own = own_error(error)
    if stopped and own is None:
        logger.warning("the workers died before they had stopped; the run stands at its last checkpoint")
        return False
    raise (own or _explain(error)) from error


def _run(train: Callable[[], object], board: Any, listener: Listener) -> tuple[BaseException | None, bool]:
    """What training ended with, and whether it was stopped; no worker is left on any way out."""
    outcome: list[BaseException] = []

    def run() -> None:
        try:
            train()
        except BaseException as error:  # carried to the caller's thread
            outcome.append(error)

    thread = threading.Thread(target=run, name="trainer", daemon=True)
    thread.start()
    try:
        stopped = _watch(thread, board, listener)
    except BaseException as error:
        # Asked a second time, or the listener gave up: without a step that ends soon, by force.
        _end(thread, board, grace_s=0 if isinstance(error, KeyboardInterrupt) else _STOP_TIMEOUT_S)
        raise
    return next(iter(outcome), None), stopped


def _end(thread: threading.Thread, board: Any, grace_s: float) -> None:
    """Stop the workers before their next step or, after the grace time, where they are."""
    ray.get(board.request_stop.remote())
    thread.join(grace_s)
    if thread.is_alive():
        remove_placement_groups(ray.get(board.groups.remote()))
        thread.join(_STOP_TIMEOUT_S)


def _watch(thread: threading.Thread, board: Any, listener: Listener) -> bool:
    stopped = False
    while True:
        try:
            alive = thread.is_alive()
            progress, epochs, warnings = ray.get(board.read.remote())
            for text in warnings:
                listener.warning(text)
            for metrics in epochs:
                listener.epoch(metrics)
            if not alive:
                return stopped
            if progress:
                listener.progress(progress)
            time.sleep(_POLL_S)
        except KeyboardInterrupt:
            if stopped:
                raise
            stopped = True
            listener.stopping()
            board.request_stop.remote()


def _trainer(job: TrainJob, board: Any, scratch: Storage, concurrent: int) -> Trainer:
    config = job.config
    use_gpu = bool(config.scale.gpu)
    gpus = float(config.scale.gpus_per_worker) if use_gpu else 0.0
    cpus = float(config.scale.cpus_per_worker)
    arguments: WorkerArguments = {"job": job, "board": board, "concurrent": concurrent}
    path, filesystem = _for_ray(scratch)
    return Trainer(
        train_worker,
        train_loop_config=dict(arguments),
        # NCCL refuses two ranks on one device.
        backend_config=ProcessGroup("nccl" if gpus >= 1 else "gloo", _COLLECTIVE_TIMEOUT_S),
        scaling_config=ScalingConfig(
            num_workers=config.scale.workers,
            use_gpu=use_gpu,
            accelerator_type=config.scale.accelerator_type or None,
            label_selector=config.scale.labels or None,
            resources_per_worker={"CPU": cpus, "GPU": gpus},
        ),
        run_config=RunConfig(
            name=_shown_name(job.run_uri),
            storage_path=path,
            storage_filesystem=filesystem,
            callbacks=[WorkerFailureCallback(board)],
            failure_config=FailureConfig(
                max_failures=config.scale.max_failures, controller_failure_limit=_PLACEMENT_TRIES
            ),
        ),
    )


def _shown_name(run_uri: str) -> str:
    """The run in Ray's dashboard: its folder, and for a trial that of its sweep."""
    trial = trial_of(run_uri)
    folder, number = (run_uri, "") if trial is None else (trial[0], f"-{trial[1]:04d}")
    return folder.rstrip("/").rpartition("/")[2] + number


def _scratch(job: TrainJob) -> Storage:
    """Where Ray Train keeps its own bookkeeping, thrown away at the end: what must survive is in the run.

    It lies beside the run where workers on other nodes must reach it.
    """
    storage = RunDir(job.run_uri).storage
    if storage.is_local:
        return open_storage(tempfile.mkdtemp(prefix="unetpp-ray-train-"))
    return storage.child(f"ray-train-{uuid.uuid4().hex[:12]}")


def _for_ray(storage: Storage) -> tuple[str, pyarrow.fs.FileSystem | None]:
    if storage.is_local:
        return str(storage.local_path()), None
    filesystem, path = fsspec.core.url_to_fs(storage.uri)
    return path, pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(filesystem))


def _explain(error: BaseException) -> UnetppError:
    """The cause in one line, where no error of ours is in it."""
    text = str(error)
    for line in reversed(text.splitlines()):
        name, _, message = line.strip().partition(": ")
        kind = name.rsplit(".", 1)[-1]
        if kind.endswith(("Error", "Exception")) and message:
            return UnetppError(f"training failed: {kind}: {message}")
    return UnetppError(f"training failed: {text.splitlines()[-1] if text else type(error).__name__}")
