"""unetpp tune: a sweep over a search space."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unetpp.cli.terminal.output import STOPPED, Json, emit, note
from unetpp.cli.verbs.train import print_changes, print_decisions, split_arguments
from unetpp.core.commands import shown_command
from unetpp.core.errors import UnetppError

if TYPE_CHECKING:
    from unetpp.config import RunConfig
    from unetpp.core.ownership import Ownership
    from unetpp.train.run.rank import TrainJob
    from unetpp.tune.space.space import Space
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
    from unetpp.tune.folder import load_started, started_config
    from unetpp.tune.space.space import load_space

    path, overrides = split_arguments(arguments)
    own = space.endswith(".py")
    if not resume:
        return load_config(path, overrides), load_space(space)
    if own and path is not None:
        return started_config(load_config(path, overrides)), load_space(space)
    if own:
        return load_started(load_config(None, overrides).run_uri, overrides, Path(space))
    if path is not None:
        raise ConfigError(
            f"--resume {space} goes on with the sweep's own configuration; leave {path} out, or give the "
            "space's file and out= in place of the folder"
        )
    return load_started(space, overrides)


def _tune(config: "RunConfig", space: "Space", *, resume: bool) -> dict[str, Any]:
    from unetpp.config import resolve
    from unetpp.config.planning.node_labels import require_labelled_cluster
    from unetpp.config.planning.placement import waiting
    from unetpp.core.errors import ConfigError
    from unetpp.core.logs import setup_logging
    from unetpp.core.ownership import Ownership
    from unetpp.core.storage import open_storage
    from unetpp.launch.cluster_hardware import hardware_for
    from unetpp.launch.connect import connected
    from unetpp.tune.folder import changes_since
    from unetpp.tune.sweep import claim_sweep, plan_sweep

    setup_logging("INFO")
    if not config.data.uri:
        raise ConfigError("data.uri is empty; name a packed dataset: data.uri=URI")
    require_labelled_cluster(config)
    with Ownership() as owner, hardware_for(config.scale) as hardware:
        setup = plan_sweep(config, space, hardware, resume=resume)
        if resume:
            owner.claim(open_storage(setup.sweep_uri))  # refused before Ray starts
            note(f"continuing {setup.sweep_uri} on version {setup.manifest.version} of its dataset")
            print_changes(changes_since(setup.base))
        base, decisions = resolve(setup.base, setup.manifest, hardware, sweep=True)
        print_decisions(decisions)
        if missing := waiting(base, hardware, setup.concurrent):
            note(missing)
        workers, cpus = base.max_workers * setup.concurrent, float(base.scale.cpus_per_worker)
        with connected(base.scale.address, workers=workers, cpus_per_worker=cpus):
            result = _run(claim_sweep(setup, resume=resume, owner=owner), owner)
    _print_best(result)
    return result


def _run(sweep: "Sweep", owner: "Ownership") -> dict[str, Any]:
    from unetpp.cli.terminal.sweep_table import SweepTable
    from unetpp.core.errors import OwnedError
    from unetpp.tune.kept_space import resume_command
    from unetpp.tune.planning.budget import estimate
    from unetpp.tune.sweep import measure_epoch, run_sweep

    setup, base = sweep.setup, sweep.setup.resolved_base()
    concurrent = setup.concurrent
    try:
        epoch_s = measure_epoch(setup, concurrent)
        if epoch_s is None:
            note("no estimate of the duration: no worker's place could be measured")
        else:
            note(estimate(epoch_s, base.train.epochs, concurrent, base.tune))
        with SweepTable(base.model_dump(mode="json"), base.train.epochs) as table:
            ledger = run_sweep(sweep, table, concurrent)
        owner.require()
        finished = not ledger.interrupted
        if finished and base.tune.confirm:
            finished = _confirm(sweep)
    except OwnedError:
        raise
    except (Exception, KeyboardInterrupt):
        note(f"the sweep did not end; nothing is lost. Continue: {resume_command(setup.sweep_uri)}")
        raise
    reason = ledger.exhausted()
    if reason:
        note(f"ended early: {reason}")
    return _result(sweep, finished=finished)


def _result(sweep: "Sweep", *, finished: bool) -> dict[str, Any]:
    from unetpp.tune.results.confirmed import called_best, read_confirmed
    from unetpp.tune.results.leaderboard import failure_causes, leaderboard, sweep_summary

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
    from dataclasses import replace

    from unetpp.cli.terminal.train_progress import TrainProgress
    from unetpp.train.ray.trainer import fit
    from unetpp.tune.results.confirm import candidates, confirm
    from unetpp.tune.results.leaderboard import leaderboard

    setup = sweep.setup

    def train(job: "TrainJob") -> bool:
        note(f"training {job.run_uri}")
        with TrainProgress(job.config.train.epochs) as progress:
            return fit(replace(job, claim=sweep.claim), progress)

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
    from unetpp.tune.kept_space import resume_command
    from unetpp.tune.results.confirmed import winner_run

    sweep, best, confirmed = result["sweep"], result["best"], result.get("confirmed")
    if not result["finished"]:
        note(f"stopped; nothing is lost. Continue: {resume_command(sweep)}")
    if best is None:
        return
    run, level, score = trial_uri(sweep, best["trial"]), best["level"], f"{best['value']:.4f}"
    winner = {} if confirmed is None else confirmed["candidates"][0]
    if (winner.get("trial"), winner.get("level")) == (best["trial"], level):
        run = winner_run(sweep, result["confirmed"])
        seeds = ", ".join(map(str, winner["seeds"]))
        score += f"; confirmed with seeds {seeds}: Dice per image {winner['dice_per_image']:.4f}"
    note(f"best: trial {best['trial']} level {level}, {score}")
    note(f"evaluate: {shown_command('evaluate', run, '--level', level)}")
    note(f"export:   {shown_command('export', run, '--out', 'model.safetensors', '--level', level)}")
