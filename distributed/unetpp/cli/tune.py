"""unetpp tune: a sweep over a search space."""

from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unetpp.cli.output import STOPPED, Json, emit, note
from unetpp.cli.places import require_places
from unetpp.cli.train import print_decisions, split_arguments
from unetpp.core.errors import UnetppError

if TYPE_CHECKING:
    from unetpp.config import RunConfig
    from unetpp.train.job import TrainJob
    from unetpp.tune.space import Space
    from unetpp.tune.sweep import Sweep

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command()
    def tune(
        space: Annotated[
            str,
            typer.Argument(
                metavar="SPACE.py|SWEEP",
                help="A file with space(trial) -> dict; with --resume also the folder of a sweep.",
            ),
        ],
        arguments: Annotated[
            list[str] | None, typer.Argument(metavar="[CONFIG.yaml] key=value ...", help="As for train.")
        ] = None,
        resume: Annotated[
            bool,
            typer.Option("--resume", help="Go on with SWEEP, or with SPACE.py and the sweep at out=."),
        ] = False,
        confirm: Annotated[
            int | None,
            typer.Option(metavar="K", min=0, help="Train the best K again with other seeds; tune.confirm=K."),
        ] = None,
        json: Json = False,
    ) -> None:
        """Search depth, dilation, loss weights and more with Optuna on Ray Tune."""
        given = [*(arguments or []), *([] if confirm is None else [f"tune.confirm={confirm}"])]
        result = _tune(*_load(space, given, resume=resume), resume=resume)
        causes = result.pop("causes")
        emit(result, json=json)
        if not result["finished"]:
            raise typer.Exit(STOPPED)
        if result["best"] is None and causes:
            raise UnetppError(_no_result(causes))


def _load(space: str, arguments: list[str], *, resume: bool) -> "tuple[RunConfig, Space]":
    from unetpp.config import load_config
    from unetpp.core.errors import ConfigError
    from unetpp.tune.space import load_space
    from unetpp.tune.sweep_dir import load_started

    path, overrides = split_arguments(arguments)
    if space.endswith(".py") or not resume:
        return load_config(path, overrides), load_space(space)
    if path is not None:
        raise ConfigError(
            f"--resume {space} goes on with the sweep's own configuration; leave {path} out, or give the "
            "space's file and out= in place of the folder"
        )
    return load_started(space, overrides)


def _tune(config: "RunConfig", space: "Space", *, resume: bool) -> dict[str, Any]:
    from unetpp.config import detect_hardware, resolve
    from unetpp.config.node_labels import require_labelled_cluster
    from unetpp.core.errors import ConfigError
    from unetpp.core.logs import setup_logging
    from unetpp.launch.connect import connected
    from unetpp.tune.placement import NESTED_DRIVER_CPUS, concurrency
    from unetpp.tune.sweep import claim_sweep, plan_sweep

    setup_logging("INFO")
    if not config.data.uri:
        raise ConfigError("data.uri is empty; name a packed dataset: data.uri=URI")
    hardware = detect_hardware()
    setup = plan_sweep(config, space, hardware, resume=resume)
    base, decisions = resolve(setup.base, setup.manifest, hardware)
    print_decisions(decisions)
    require_labelled_cluster(base)
    address, cpus = base.scale.address, float(base.scale.cpus_per_worker)
    concurrent = 1
    if address is None:
        # The Ray that starts here has logical CPUs to spare for what drives the workers.
        here = {"CPU": float(hardware.cpus), "GPU": float(hardware.gpus)}
        concurrent = concurrency(base, [here], driver_cpus=0)
    with connected(address, workers=base.max_workers * concurrent, cpus_per_worker=cpus):
        if address is not None:
            concurrent = require_places(base, driver_cpus=NESTED_DRIVER_CPUS)
        result = _run(claim_sweep(setup, resume=resume), concurrent)
    _print_best(result)
    return result


def _run(sweep: "Sweep", concurrent: int) -> dict[str, Any]:
    from unetpp.cli.sweep_table import SweepTable
    from unetpp.tune.budget import estimate
    from unetpp.tune.probe import seconds_per_epoch
    from unetpp.tune.sweep import run_sweep
    from unetpp.tune.sweep_dir import resume_command

    setup, base = sweep.setup, sweep.setup.resolved_base()
    try:
        if base.scale.address:
            note("no estimate of the duration: the cluster's devices are not this machine's")
        else:
            epoch_s = seconds_per_epoch(base, setup.manifest, concurrent)
            note(estimate(epoch_s, base.train.epochs, concurrent, base.tune))
        with SweepTable(base.model_dump(mode="json"), base.train.epochs) as table:
            ledger = run_sweep(sweep, table, concurrent)
        finished = not ledger.interrupted
        if finished and base.tune.confirm:
            finished = _confirm(sweep)
    except (Exception, KeyboardInterrupt):
        note(f"the sweep did not end; nothing is lost. Continue: {resume_command(setup.sweep_uri)}")
        raise
    reason = ledger.exhausted()
    if reason:
        note(f"ended early: {reason}")
    return _result(sweep, finished=finished)


def _result(sweep: "Sweep", *, finished: bool) -> dict[str, Any]:
    from unetpp.tune.confirmed import called_best, read_confirmed
    from unetpp.tune.leaderboard import failure_causes, leaderboard, sweep_summary

    uri, study = sweep.setup.sweep_uri, sweep.study
    confirmed = read_confirmed(uri)
    best = called_best(leaderboard(study), confirmed)
    result = {"sweep": uri, "finished": finished, **sweep_summary(study, best)}
    if confirmed is not None:
        result["confirmed"] = confirmed
    return result | {"causes": failure_causes(study)}


def _no_result(causes: list[tuple[str, int]]) -> str:
    lines = [f"{count} x {cause}" for cause, count in causes]
    told = "\n  ".join(lines)
    return f"no trial of the sweep has a result; mend the cause, then start anew with another out=:\n  {told}"


def _confirm(sweep: "Sweep") -> bool:
    """Confirm the best trials; False if a training was stopped."""
    from unetpp.cli.progress import TrainProgress
    from unetpp.train.trainer import fit
    from unetpp.tune.confirm import candidates, confirm
    from unetpp.tune.leaderboard import leaderboard

    setup = sweep.setup

    def train(job: "TrainJob") -> bool:
        note(f"training {job.run_uri}")
        with TrainProgress(job.config.train.epochs) as progress:
            return fit(job, progress)

    chosen = candidates(leaderboard(sweep.study), setup.base.tune.confirm, setup.sweep_uri)
    if not chosen:
        note("nothing to confirm: no trial is complete")
        return True
    result = confirm(chosen, setup.manifest, setup.sweep_uri, train)
    if result is None:
        return False
    _, *others = result["candidates"]
    if others and not result["distinguishable"]:
        second = result["against_winner"][str(others[0]["trial"])]
        note(f"the winner cannot be told from trial {others[0]['trial']}: p = {second['p_value']:.2f}")
    return True


def _print_best(result: dict[str, Any]) -> None:
    from unetpp.core.trial_folders import trial_uri
    from unetpp.tune.confirmed import winner_run
    from unetpp.tune.sweep_dir import resume_command

    sweep, best, confirmed = result["sweep"], result["best"], result.get("confirmed")
    if not result["finished"]:
        note(f"stopped; nothing is lost. Continue: {resume_command(sweep)}")
    if best is None:
        return
    run, score = trial_uri(sweep, best["trial"]), f"{best['value']:.4f}"
    winner = {} if confirmed is None else confirmed["candidates"][0]
    if (winner.get("trial"), winner.get("level")) == (best["trial"], best["level"]):
        run = winner_run(sweep, result["confirmed"])
        seeds = ", ".join(map(str, winner["seeds"]))
        score += f"; confirmed with seeds {seeds}: Dice per image {winner['dice_per_image']:.4f}"
    note(f"best: trial {best['trial']} level {best['level']}, {score}")
    note(f"evaluate: unetpp evaluate {quote(run)} --split test --level {best['level']}")
    note(f"export:   unetpp export {quote(run)} --out model.safetensors --level {best['level']}")
