"""unetpp tune: a sweep over a search space."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unetpp.cli.output import STOPPED, Json, emit, note
from unetpp.cli.places import require_places
from unetpp.cli.train import print_changes, print_decisions, split_arguments
from unetpp.core.commands import shown_command

if TYPE_CHECKING:
    from unetpp.config import RunConfig
    from unetpp.core.ownership import Ownership
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
        emit(result, json=json)
        if not result["finished"]:
            raise typer.Exit(STOPPED)


def _load(space: str, arguments: list[str], *, resume: bool) -> "tuple[RunConfig, Space]":
    from unetpp.config import load_config
    from unetpp.core.errors import ConfigError
    from unetpp.tune.space import load_space
    from unetpp.tune.sweep_dir import load_started, started_config

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
    from unetpp.config import detect_hardware, resolve
    from unetpp.config.node_labels import require_labelled_cluster
    from unetpp.core.errors import ConfigError
    from unetpp.core.logs import setup_logging
    from unetpp.core.ownership import Ownership
    from unetpp.core.storage import open_storage
    from unetpp.launch.connect import connected
    from unetpp.tune.placement import NESTED_DRIVER_CPUS, concurrency
    from unetpp.tune.sweep import claim_sweep, plan_sweep
    from unetpp.tune.sweep_dir import changes_since

    setup_logging("INFO")
    if not config.data.uri:
        raise ConfigError("data.uri is empty; name a packed dataset: data.uri=URI")
    hardware = detect_hardware()
    setup = plan_sweep(config, space, hardware, resume=resume)
    if resume:
        note(f"continuing {setup.sweep_uri} on version {setup.manifest.version} of its dataset")
        print_changes(changes_since(setup.base))
    base, decisions = resolve(setup.base, setup.manifest, hardware)
    print_decisions(decisions)
    require_labelled_cluster(base)
    address, cpus = base.scale.address, float(base.scale.cpus_per_worker)
    concurrent = 1
    if address is None:
        # The Ray that starts here has logical CPUs to spare for what drives the workers.
        here = {"CPU": float(hardware.cpus), "GPU": float(hardware.gpus)}
        concurrent = concurrency(base, [here], driver_cpus=0)
    with Ownership() as owner:
        if resume:  # refused before Ray starts
            owner.claim(open_storage(setup.sweep_uri))
        with connected(address, workers=base.max_workers * concurrent, cpus_per_worker=cpus):
            if address is not None:
                concurrent = require_places(base, driver_cpus=NESTED_DRIVER_CPUS)
            result = _run(claim_sweep(setup, resume=resume, owner=owner), owner, concurrent)
    _print_best(result)
    return result


def _run(sweep: "Sweep", owner: "Ownership", concurrent: int) -> dict[str, Any]:
    from unetpp.cli.sweep_table import SweepTable
    from unetpp.core.errors import OwnedError
    from unetpp.tune.budget import estimate
    from unetpp.tune.kept_space import resume_command
    from unetpp.tune.leaderboard import sweep_summary
    from unetpp.tune.probe import seconds_per_epoch
    from unetpp.tune.sweep import run_sweep

    setup, base = sweep.setup, sweep.setup.resolved_base()
    try:
        if base.scale.address:
            note("no estimate of the duration: the cluster's devices are not this machine's")
        else:
            epoch_s = seconds_per_epoch(base, setup.manifest, concurrent)
            note(estimate(epoch_s, base.train.epochs, concurrent, base.tune))
        with SweepTable(base.model_dump(mode="json"), base.train.epochs) as table:
            ledger = run_sweep(sweep, table, concurrent)
        owner.require()
        confirmed = _confirm(sweep) if base.tune.confirm and not ledger.interrupted else None
    except OwnedError:
        raise
    except (Exception, KeyboardInterrupt):
        note(f"the sweep did not end; nothing is lost. Continue: {resume_command(setup.sweep_uri)}")
        raise
    reason = ledger.exhausted()
    if reason:
        note(f"ended early: {reason}")
    result = {"sweep": setup.sweep_uri, "finished": not ledger.interrupted, **sweep_summary(sweep.study)}
    if confirmed is not None:
        result["confirmed"] = confirmed
    return result


def _confirm(sweep: "Sweep") -> dict[str, Any]:
    from dataclasses import replace

    from unetpp.cli.progress import TrainProgress
    from unetpp.train.trainer import fit
    from unetpp.tune.confirm import candidates, confirm
    from unetpp.tune.leaderboard import leaderboard

    setup = sweep.setup

    def train(job: "TrainJob") -> bool:
        note(f"training {job.run_uri}")
        with TrainProgress(job.config.train.epochs) as progress:
            return fit(replace(job, claim=sweep.claim), progress)

    chosen = candidates(leaderboard(sweep.study), setup.base.tune.confirm, setup.sweep_uri)
    result = confirm(chosen, setup.manifest, setup.sweep_uri, train)
    winner, *others = result["candidates"]
    score = winner["dice_per_image"]
    note(f"confirmed: trial {winner['trial']} level {winner['level']}, Dice per image {score:.4f}")
    if others and not result["distinguishable"]:
        second = result["against_winner"][others[0]["trial"]]
        note(f"it cannot be told from trial {others[0]['trial']}: p = {second['p_value']:.2f}")
    return result


def _print_best(result: dict[str, Any]) -> None:
    from unetpp.core.trial_folders import trial_uri
    from unetpp.tune.kept_space import resume_command

    sweep, best = result["sweep"], result["best"]
    if not result["finished"]:
        note(f"stopped; nothing is lost. Continue: {resume_command(sweep)}")
    if best is not None:
        run = trial_uri(sweep, best["trial"])
        note(f"best: trial {best['trial']} level {best['level']}, {best['value']:.4f}")
        level = best["level"]
        note(f"evaluate: {shown_command('evaluate', run, '--level', level)}")
        note(f"export:   {shown_command('export', run, '--out', 'model.safetensors', '--level', level)}")
