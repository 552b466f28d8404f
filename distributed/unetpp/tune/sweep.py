"""A sweep on Ray Tune: set up, run until the budget ends, summarise; and go on with an interrupted one."""

import contextlib
import logging
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import optuna
import ray
import ray.tune

from unetpp.config import AUTO, Hardware, RunConfig, dump_yaml, replace, resolve
from unetpp.core.errors import ConfigError, ExistsError, InputError
from unetpp.core.manifest import Manifest
from unetpp.core.storage import Storage, open_storage, preflight
from unetpp.data.store import load_manifest
from unetpp.tune.board import start_board
from unetpp.tune.events import SweepEvents, SweepListener
from unetpp.tune.ledger import Ledger, SweepSetup
from unetpp.tune.searcher import LedgerSearcher
from unetpp.tune.seeding import enqueue_default, warm_start
from unetpp.tune.space import check_space, load_space
from unetpp.tune.study import open_study
from unetpp.tune.sweep_dir import SWEEP_CONFIG, no_sweep, study_name, study_url
from unetpp.tune.trainable import TrialContext, run_trial

__all__ = ["Sweep", "cluster_resources", "concurrency", "run_sweep", "start_sweep"]

logger = logging.getLogger(__name__)

_MEMORY_SHARE = 0.8
"""Share of a device's memory that a trial may plan with; the rest is the allocator's and the kernels'."""
_NESTED_DRIVER_CPUS = 0.01
"""A trial with several workers only waits for them."""


@dataclass(frozen=True)
class Sweep:
    """A sweep that can run: its setup and its study."""

    setup: SweepSetup
    study: optuna.Study


def start_sweep(config: RunConfig, space_path: Path, hardware: Hardware, *, resume: bool) -> Sweep:
    """Check everything that can be checked before the first trial, and claim the sweep's folder.

    Raises:
        ConfigError: the space or the configuration breaks a rule, or `resume` asks another question.
        ExistsError: a sweep is there and `resume` is not set.
        InputError: `resume` is set and no sweep is there.
        StorageError: the dataset, the folder or the study's storage cannot be used.
    """
    storage = open_storage(config.run_uri)
    data = open_storage(config.data.uri)
    config = replace(config, {"out": storage.uri, "name": "", "data.uri": data.uri})
    space = load_space(space_path)
    check_space(space, config)
    preflight(data, write=False)
    preflight(storage, write=True)
    manifest = load_manifest(data)
    _require_space_fits(config, manifest, hardware)
    if resume != storage.exists(SWEEP_CONFIG):
        raise no_sweep(storage, "leave --resume out to start one") if resume else _sweep_exists(storage)
    study = open_study(study_url(config, storage), study_name(config), space=space, config=config)
    if not resume:
        enqueue_default(study, space, config)
        warm_start(study, config.tune.warm_start, space)
        for name, text in space.files:
            storage.write(f"space/{name}", text.encode())
        storage.write(SWEEP_CONFIG, dump_yaml(config).encode())
    device_bytes = hardware.gpu_memory_bytes if config.scale.gpu is True else hardware.memory_bytes
    setup = SweepSetup(storage.uri, config, space, manifest, hardware, int(device_bytes * _MEMORY_SHARE))
    return Sweep(setup, study)


def concurrency(config: RunConfig, resources: Mapping[str, float]) -> int:
    """Trials that a cluster can place at once, their nested workers included, within `tune.max_concurrent`.

    Args:
        config: every `auto` of `scale` decided.
        resources: of the whole cluster, as Ray names them.

    Raises:
        ConfigError: not even one trial fits.
    """
    workers = config.max_workers
    needs = {
        "CPU": workers * float(config.scale.cpus_per_worker) + (_NESTED_DRIVER_CPUS if workers > 1 else 0)
    }
    if config.scale.gpu:
        needs["GPU"] = float(workers)
    fits = min(math.floor(resources.get(name, 0.0) / need + 1e-9) for name, need in needs.items())
    if fits < 1:
        have = ", ".join(f"{resources.get(name, 0.0):g} {name}" for name in needs)
        want = ", ".join(f"{need:g} {name}" for name, need in needs.items())
        raise ConfigError(
            f"one trial needs {want}; the cluster has {have}; lower scale.workers={workers} or "
            f"scale.cpus_per_worker={config.scale.cpus_per_worker:g}, or add nodes"
        )
    limit = config.tune.max_concurrent
    return fits if limit == AUTO else min(fits, int(limit))


def cluster_resources() -> dict[str, float]:
    """Of the cluster this process is connected to."""
    return dict(ray.cluster_resources())


def run_sweep(sweep: Sweep, listener: SweepListener, concurrent: int) -> Ledger:
    """Run trials on a connected Ray until the budget ends or Ctrl-C; returns the sweep's ledger."""
    setup = sweep.setup
    ledger, board = Ledger(setup, sweep.study), start_board()
    context = TrialContext(setup.manifest, board, concurrent)
    trainable = ray.tune.with_resources(
        ray.tune.with_parameters(run_trial, context=context), _trial_resources(setup)
    )
    with _scratch() as folder:
        tuner = ray.tune.Tuner(
            trainable,
            tune_config=ray.tune.TuneConfig(
                search_alg=LedgerSearcher(ledger, board),
                num_samples=-1,
                max_concurrent_trials=concurrent,
                reuse_actors=True,
            ),
            run_config=ray.tune.RunConfig(
                name="sweep",
                storage_path=folder,
                verbose=0,
                callbacks=[SweepEvents(listener)],
                failure_config=ray.tune.FailureConfig(max_failures=setup.base.tune.max_failures),
            ),
        )
        tuner.fit()
    ray.kill(board)
    return ledger


def _trial_resources(setup: SweepSetup) -> dict[str, float]:
    config, _ = resolve(setup.base, setup.manifest, setup.hardware)
    if config.max_workers > 1:
        return {"CPU": _NESTED_DRIVER_CPUS}
    return {"CPU": float(config.scale.cpus_per_worker), "GPU": float(bool(config.scale.gpu))}


def _require_space_fits(config: RunConfig, manifest: Manifest, hardware: Hardware) -> None:
    """The base configuration itself must be able to run on this dataset."""
    if not manifest.splits.get("val") or manifest.splits["val"].rows == 0:
        raise InputError(
            f"a sweep scores trials on the val split; dataset {config.data.uri} has none; "
            "pack it with --val 0.1"
        )
    resolve(config, manifest, hardware)


def _sweep_exists(storage: Storage) -> ExistsError:
    return ExistsError(f"a sweep exists at {storage.uri}; use --resume to continue it or another out=")


@contextlib.contextmanager
def _scratch() -> Iterator[str]:
    """Tune's own files are thrown away: the study and the trials' run folders are what must survive."""
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    folder = tempfile.mkdtemp(prefix="unetpp-tune-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
