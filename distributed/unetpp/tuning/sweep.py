"""A sweep on Ray Tune: claimed, measured, run until the budget ends; or an interrupted one gone on with."""

import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import optuna
import ray
import ray.tune
from optuna.trial import TrialState

from unetpp.config import RunConfig, dump_yaml
from unetpp.config.planning.placement import (
    trial_resources,
    worker_slots,
)
from unetpp.config.sections.train import ScaleConfig
from unetpp.core.errors import ExistsError
from unetpp.core.ownership import Claim, Ownership
from unetpp.core.places import SWEEP_CONFIG
from unetpp.core.storage import Storage, open_storage
from unetpp.training.ray.metrics_export import Exporter
from unetpp.tuning.first_trials import enqueue_default, warm_start
from unetpp.tuning.folder import (
    study_name,
    study_url,
    write_dataset,
)
from unetpp.tuning.kept_space import SPACE_FOLDER, remember_space
from unetpp.tuning.ledger import Ledger
from unetpp.tuning.listener import SweepListener
from unetpp.tuning.planning.duration_estimate import seconds_per_epoch
from unetpp.tuning.ray.callbacks import SweepEvents
from unetpp.tuning.ray.decisions import start_board
from unetpp.tuning.ray.metrics import SweepMetrics
from unetpp.tuning.ray.searcher import LedgerSearcher
from unetpp.tuning.ray.trainable import TrialContext, run_trial
from unetpp.tuning.setup import SweepSetup, sweep_exists
from unetpp.tuning.study.file import fetch
from unetpp.tuning.study.publish import Publisher, StudyPublisher, Unpublished
from unetpp.tuning.study.record import own_trials
from unetpp.tuning.study.storage import shown_url
from unetpp.tuning.study.study import open_study

__all__ = ["Sweep", "claim_sweep", "measure_epoch", "run_sweep"]

logger = logging.getLogger(__name__)

_PROBE_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Sweep:
    """A sweep that can run: its setup, its study and who makes it last."""

    setup: SweepSetup
    study: optuna.Study
    publisher: Publisher
    claim: Claim | None


def claim_sweep(setup: SweepSetup, *, resume: bool, owner: Ownership | None = None) -> Sweep:
    """Become the sweep's owner, open the study and write what a resume needs.

    Args:
        owner: of this process; None where the caller has seen to it that no other works on the sweep.

    Raises:
        OwnedError: another process works on the sweep.
        ConfigError: the study was started with another space or configuration.
        ExistsError: the study is another sweep's.
        StorageError: the study's storage cannot be used.
    """
    config, space, storage = setup.base, setup.space, open_storage(setup.sweep_uri)
    claim = None if owner is None else owner.claim(storage)
    if not resume and storage.exists(SWEEP_CONFIG):
        raise sweep_exists(storage)  # started and ended since it was planned
    publisher = _publisher(config, storage, claim)
    url, name = study_url(config, storage), study_name(config)
    study = open_study(url, name, space=space, config=config)
    if not resume:
        started = sum(trial.state != TrialState.WAITING for trial in own_trials(study))
        if started:
            raise ExistsError(
                f"study {name!r} in {shown_url(url)} must be new for a new sweep; it has {started} trial(s) "
                "of another one; give another tune.study_name=, or resume that sweep"
            )
        enqueue_default(study, setup.asked, setup.resolved_base())
        warm_start(study, config.tune.warm_start, setup.asked)
        for file, text in space.files:
            storage.write(f"{SPACE_FOLDER}/{file}", text.encode())
        write_dataset(storage, setup.manifest)
        publisher.now()
    remember_space(space)
    # Last: its presence says that the others are there.
    storage.write(SWEEP_CONFIG, dump_yaml(config).encode())
    return Sweep(setup, study, publisher, claim)


def measure_epoch(setup: SweepSetup, concurrent: int) -> float | None:
    """Training seconds of an epoch of the base configuration, measured where a trial's worker will run.

    None where no node is there yet, none has a place in time, or the measurement fails.
    """
    decided = setup.resolved_base()
    if not any(worker_slots(decided, node) for node in setup.hardware.nodes):
        return None
    resources = trial_resources(decided.model_copy(update={"scale": _of_one_worker(decided.scale)}))
    task = ray.remote(max_retries=0)(seconds_per_epoch).options(
        num_cpus=resources.pop("CPU"),
        num_gpus=resources.pop("GPU"),
        resources=resources,
        label_selector=decided.scale.labels,
    )
    measured = task.remote(decided, setup.manifest, concurrent)
    try:
        seconds: float = ray.get(measured, timeout=_PROBE_TIMEOUT_S)
    except (ray.exceptions.GetTimeoutError, ray.exceptions.RayError) as error:
        ray.cancel(measured, force=True)
        cause = next(iter(str(error).splitlines()[-1:]), type(error).__name__)
        logger.warning("the speed of an epoch was not measured: %s", cause)
        return None
    return seconds


def run_sweep(sweep: Sweep, listener: SweepListener, concurrent: int) -> Ledger:
    """Run trials on a connected Ray until the budget ends or Ctrl-C; returns the sweep's ledger.

    Raises:
        StorageError: the study's storage was away for too long, or the study cannot be published.
        OwnedError: another process has taken over.
    """
    ledger, board = Ledger(sweep.setup, sweep.study, sweep.publisher), start_board()
    searcher = LedgerSearcher(ledger, board)
    try:
        with _scratch() as folder:
            _tuner(sweep, searcher, ledger, board, listener, concurrent, folder).fit()
    except Exception as error:
        raise (searcher.failure or error) from None
    finally:
        sweep.publisher.stop()
        ray.kill(board)
    if searcher.failure is not None:
        raise searcher.failure
    return ledger


def _tuner(
    sweep: Sweep,
    searcher: LedgerSearcher,
    ledger: Ledger,
    board: Any,
    listener: SweepListener,
    concurrent: int,
    folder: str,
) -> ray.tune.Tuner:
    setup, decided = sweep.setup, sweep.setup.resolved_base()
    context = TrialContext(setup.manifest, board, concurrent, sweep.claim)
    return ray.tune.Tuner(
        ray.tune.with_resources(ray.tune.with_parameters(run_trial, context=context), _bundle(decided)),
        tune_config=ray.tune.TuneConfig(
            search_alg=searcher,
            num_samples=-1,
            max_concurrent_trials=concurrent,
            reuse_actors=True,
        ),
        run_config=ray.tune.RunConfig(
            name="sweep",
            storage_path=folder,
            verbose=0,
            callbacks=[
                SweepEvents(listener, ledger.has_failed, ledger.is_paused),
                SweepMetrics(ledger, Exporter()),
            ],
            failure_config=ray.tune.FailureConfig(max_failures=setup.base.tune.max_failures),
        ),
    )


def _publisher(config: RunConfig, storage: Storage, claim: Claim | None) -> Publisher:
    """Of a study that only this machine has; that one begins as what was published."""
    if config.tune.storage or storage.is_local:
        return Unpublished()
    return StudyPublisher(fetch(storage), storage, claim)


def _bundle(decided: RunConfig) -> ray.tune.PlacementGroupFactory:
    """Resources of a trial's process and the nodes that may give them; several workers choose theirs."""
    labels = decided.scale.labels if decided.max_workers == 1 else {}
    selectors = {"bundle_label_selector": [labels]} if labels else {}
    return ray.tune.PlacementGroupFactory([trial_resources(decided)], **selectors)


def _of_one_worker(scale: ScaleConfig) -> ScaleConfig:
    return scale.model_copy(update={"workers": 1})


@contextlib.contextmanager
def _scratch() -> Iterator[str]:
    """Tune's own files are thrown away: the study and the trials' run folders are what must survive."""
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    # A trial that fails for good ends without a report, which Tune takes for a mistake otherwise.
    os.environ["TUNE_DISABLE_STRICT_METRIC_CHECKING"] = "1"
    # Tune's newer reporter prints a table before the first trial however silent it is asked to be.
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    # It logs every failed trial's traceback, secrets included; the ledger says the cause in a line.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    folder = tempfile.mkdtemp(prefix="unetpp-tune-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
