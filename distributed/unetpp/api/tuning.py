"""One sweep from a space to its result: plan, claim, connect, run, confirm."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from unetpp.api.lost_cluster import LOST_CLUSTER, is_cluster_gone, resumed_here
from unetpp.api.training import StartUpTimer
from unetpp.api.watchers import SweepWatcher
from unetpp.config import RunConfig, load_config, resolve
from unetpp.config.planning.node_labels import require_labelled_cluster
from unetpp.config.planning.placement import waiting
from unetpp.core.errors import ConfigError, OwnedError
from unetpp.core.ownership import Ownership
from unetpp.core.storage import open_storage
from unetpp.launch.cluster_hardware import hardware_for
from unetpp.launch.connect import connected
from unetpp.training.ray.trainer import fit
from unetpp.training.run.rank import TrainJob
from unetpp.tuning.folder import changes_since, load_started, started_config
from unetpp.tuning.kept_space import resume_command
from unetpp.tuning.ledger import SweepSetup, trial_gpus
from unetpp.tuning.planning.duration_estimate import estimate, estimate_of_minutes, gpu_cost
from unetpp.tuning.results.confirm import candidates, confirm
from unetpp.tuning.results.confirmed import called_best, candidate_key, confirmed_key, read_confirmed
from unetpp.tuning.results.leaderboard import failure_causes, leaderboard, sweep_summary
from unetpp.tuning.space.space import Space, load_space
from unetpp.tuning.sweep import Sweep, claim_sweep, measure_epoch, plan_sweep, run_sweep

__all__ = ["load_sweep_request", "tune_sweep"]

logger = logging.getLogger(__name__)


def load_sweep_request(
    space: str, config_file: Path | None, overrides: Sequence[str], *, resume: bool
) -> tuple[RunConfig, Space]:
    """The configuration and the space of a new sweep, or of one to go on with.

    Args:
        space: a file, or with `resume` also the folder of a sweep.
        config_file: YAML, if any.
        overrides: `section.field=value`.
        resume: go on with the sweep at `out=`, or in the folder.

    Raises:
        UserError: one of them cannot be used.
    """
    own = space.endswith(".py")
    if not resume:
        return load_config(config_file, overrides), load_space(space)
    if own and config_file is not None:
        return started_config(load_config(config_file, overrides)), load_space(space)
    if config_file is not None:
        raise ConfigError(
            f"--resume {space} goes on with the sweep's own configuration; leave {config_file} out, or give "
            "the space's file and out= in place of the folder"
        )
    uri = load_config(None, overrides).run_uri if own else space
    config, loaded = load_started(uri, overrides, Path(space) if own else None)
    if not any(override.startswith("scale.address=") for override in overrides) and is_cluster_gone(config):
        logger.warning(LOST_CLUSTER)
        config = resumed_here(config)
    return config, loaded


def tune_sweep(config: RunConfig, space: Space, watcher: SweepWatcher, *, resume: bool) -> dict[str, Any]:
    """Run a sweep until its budget ends or it is stopped, then confirm its best trials where asked for.

    Returns:
        sweep, finished, causes [(cause, count)] of trials without a result, confirmed if there is one, cost
        {gpu_hours, price} of the trials where a price is given, and see
        `tune.results.leaderboard.sweep_summary`.

    Raises:
        UserError: something the caller can fix, such as a sweep that another process works on.
    """
    if not config.data.uri:
        raise ConfigError("data.uri is empty; name a packed dataset: data.uri=URI")
    require_labelled_cluster(config)
    with Ownership() as owner, hardware_for(config.scale) as hardware:
        setup = plan_sweep(config, space, hardware, resume=resume)
        if resume:
            owner.claim(open_storage(setup.sweep_uri))  # refused before Ray starts
            watcher.note(f"continuing {setup.sweep_uri} on version {setup.manifest.version} of its dataset")
            watcher.decided(changes_since(setup.base), resumed=True)
        base, decisions = resolve(setup.base, setup.manifest, hardware, sweep=True)
        watcher.decided((*setup.planned, *decisions), resumed=False)
        if missing := waiting(base, hardware, setup.concurrent):
            watcher.note(missing)
        workers, cpus = base.max_workers * setup.concurrent, float(base.scale.cpus_per_worker)
        with connected(base.scale.address, workers=workers, cpus_per_worker=cpus):
            return _run(claim_sweep(setup, resume=resume, owner=owner), owner, watcher)


def _run(sweep: Sweep, owner: Ownership, watcher: SweepWatcher) -> dict[str, Any]:
    setup, base = sweep.setup, sweep.setup.resolved_base()
    try:
        watcher.note(_duration(setup, base))
        # Of a sweep that goes on; the listener hears of Dice alone.
        rows = leaderboard(sweep.study) if base.tune.metric == "dice" else []
        reached = max((row.quality for row in rows), default=0.0)
        with watcher.sweep(base, reached) as listener:
            ledger = run_sweep(sweep, listener, setup.concurrent)
        owner.require()
        finished = not ledger.interrupted
        if finished and base.tune.confirm:
            finished = _confirm(sweep, watcher)
    except OwnedError:
        raise
    except (Exception, KeyboardInterrupt):
        watcher.note(f"the sweep did not end; nothing is lost. Continue: {resume_command(setup.sweep_uri)}")
        raise
    if reason := ledger.exhausted():
        watcher.note(f"ended early: {reason}")
    result = _result(sweep, finished=finished)
    if base.tune.price_per_gpu_hour:
        result["cost"] = gpu_cost(ledger.gpu_seconds, base.tune)
    return result


def _duration(setup: SweepSetup, base: RunConfig) -> str:
    """How long the sweep is expected to take."""
    if base.train.minutes > 0:
        return estimate_of_minutes(base.train.minutes, setup.concurrent, base.tune, gpus=trial_gpus(base))
    epoch_s = measure_epoch(setup, setup.concurrent)
    if epoch_s is None:
        return "no estimate of the duration: no worker's place could be measured"
    return estimate(epoch_s, base.train.epochs, setup.concurrent, base.tune, gpus=trial_gpus(base))


def _confirm(sweep: Sweep, watcher: SweepWatcher) -> bool:
    """Confirm the best trials; False if a training was stopped."""
    setup = sweep.setup

    def train(job: TrainJob) -> bool:
        watcher.note(f"training {job.run_uri}")
        with watcher.training(job.config.train.counted_epochs, 0) as listener:
            return fit(replace(job, claim=sweep.claim), StartUpTimer(listener))

    chosen = candidates(leaderboard(sweep.study), setup.base.tune.confirm, setup.sweep_uri)
    if not chosen:
        watcher.note("nothing to confirm: no trial is complete")
        return True
    result = confirm(chosen, setup.manifest, setup.sweep_uri, train)
    if result is None:
        return False
    _, *others = result["candidates"]
    if others and not result["distinguishable"]:
        second = candidate_key(*confirmed_key(others[0]))
        p_value = result["against_winner"][second]["p_value"]
        watcher.note(f"the winner is not distinguishable from trial {second}: p = {p_value:.2f}")
    return True


def _result(sweep: Sweep, *, finished: bool) -> dict[str, Any]:
    uri, study = sweep.setup.sweep_uri, sweep.study
    confirmed = read_confirmed(uri)
    best = called_best(leaderboard(study), confirmed)
    result = {"sweep": uri, "finished": finished, **sweep_summary(study, best)}
    if confirmed is not None:
        result["confirmed"] = confirmed
    return result | {"causes": failure_causes(study)}
