"""The part of a sweep that needs Ray: its trials, then the confirmation of the best."""

from dataclasses import replace
from typing import Any

from unetpp.api.training import StartUpTimer
from unetpp.api.watchers import SweepWatcher
from unetpp.config import RunConfig
from unetpp.core.errors import OwnedError
from unetpp.core.ownership import Ownership
from unetpp.training.ray.trainer import fit
from unetpp.training.run.job import TrainJob
from unetpp.tuning.kept_space import resume_command
from unetpp.tuning.ledger import trial_gpus
from unetpp.tuning.planning.duration_estimate import estimate, estimate_of_minutes, gpu_cost
from unetpp.tuning.results.confirm import candidates, confirm
from unetpp.tuning.results.confirmed import called_best, candidate_key, confirmed_key, read_confirmed
from unetpp.tuning.results.leaderboard import failure_causes, leaderboard, sweep_summary
from unetpp.tuning.results.next_hour import next_hour
from unetpp.tuning.setup import SweepSetup
from unetpp.tuning.sweep import Sweep, claim_sweep, measure_epoch, run_sweep

__all__ = ["conduct_sweep"]


def conduct_sweep(
    setup: SweepSetup, owner: Ownership, watcher: SweepWatcher, *, resume: bool
) -> dict[str, Any]:
    """Run a planned sweep on a connected Ray until its budget ends or it is stopped; see `tune_sweep`."""
    sweep, base = claim_sweep(setup, resume=resume, owner=owner), setup.resolved_base()
    try:
        watcher.note(_duration(setup, base))
        reached = max((row.quality for row in leaderboard(sweep.study)), default=0.0)
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
    if base.tune.inherit and not base.tune.confirm:
        watcher.note(
            "trials began with the weights of earlier ones, which favours the later ones in the ranking; "
            "--confirm K trains the best from random weights"
        )
    if base.tune.scheduler == "pbt":
        watcher.note(
            "trials went on with the weights of others and another loss, as the report tells; --confirm K "
            "trains the best from random weights with the loss that they ended with"
        )
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
        p_value = result["against_winner"][second]["p_corrected"]
        watcher.note(f"the winner is not distinguishable from trial {second}: p = {p_value:.2f}")
    return True


def _result(sweep: Sweep, *, finished: bool) -> dict[str, Any]:
    uri, study = sweep.setup.sweep_uri, sweep.study
    confirmed = read_confirmed(uri)
    best = called_best(leaderboard(study), confirmed)
    metric = sweep.setup.resolved_base().tune.metric
    result = {"sweep": uri, "finished": finished, "metric": metric, **sweep_summary(study, best)}
    if (further := next_hour(study)) is not None:
        result["next_hour"] = further.to_json()
    if confirmed is not None:
        result["confirmed"] = confirmed
    return result | {"causes": failure_causes(study)}
