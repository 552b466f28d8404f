"""unetpp train: one run from a configuration."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unetpp.cli.terminal.output import STOPPED, Json, emit, note
from unetpp.core.commands import shown_command

if TYPE_CHECKING:
    from unetpp.config import Hardware, RunConfig
    from unetpp.config.planning.resolve import Decision
    from unetpp.core.ownership import Ownership
    from unetpp.train.run.rank import TrainJob

__all__ = ["print_changes", "print_decisions", "register", "run_training", "split_arguments"]


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command()
    def train(
        arguments: Annotated[
            list[str] | None,
            typer.Argument(metavar="[CONFIG.yaml] key=value ...", help="A YAML file, then overrides."),
        ] = None,
        resume: Annotated[
            bool, typer.Option("--resume", help="Continue the run at out= where it stopped.")
        ] = False,
        json: Json = False,
    ) -> None:
        """Train UNet++ on a packed dataset."""
        from unetpp.config import load_config

        path, overrides = split_arguments(arguments or [])
        result = run_training(load_config(path, overrides), resume=resume)
        emit(result, json=json)
        if not result["finished"]:
            raise typer.Exit(STOPPED)


def split_arguments(arguments: Sequence[str]) -> tuple[Path | None, list[str]]:
    """The config file, if the first argument is none of the `key=value` form, and the overrides."""
    if arguments and "=" not in arguments[0]:
        return Path(arguments[0]), list(arguments[1:])
    return None, list(arguments)


def run_training(config: "RunConfig", *, resume: bool = False) -> dict[str, Any]:
    """Train as configured and return the result object.

    Raises:
        UserError: something the caller can fix.
    """
    from unetpp.core.logs import setup_logging
    from unetpp.core.ownership import Ownership

    setup_logging("WARNING")
    with Ownership() as owner:
        return _train(config, owner, resume=resume)


def _train(config: "RunConfig", owner: "Ownership", *, resume: bool) -> dict[str, Any]:
    from unetpp.cli.terminal.train_progress import TrainProgress
    from unetpp.core.rundir import RunDir
    from unetpp.launch.cluster_hardware import hardware_for
    from unetpp.train.ray.trainer import fit
    from unetpp.train.run.prepare import resumed_config
    from unetpp.train.run.result import summarise

    started_s = time.monotonic()
    base = resumed_config(config) if resume else config
    with hardware_for(base.scale) as hardware:
        job = _prepare(config, hardware, owner, resume=resume)
        if resume and (ended := _ended(job)) is not None:
            return ended
        first_epoch = len(RunDir(job.run_uri).read_metrics())
        with TrainProgress(job.config.train.epochs, first_epoch=first_epoch) as progress:
            from unetpp.launch.connect import connected

            workers, cpus = job.config.max_workers, float(job.config.scale.cpus_per_worker)
            with connected(base.scale.address, workers=workers, cpus_per_worker=cpus):
                finished = fit(job, progress)
        owner.require()
    result = summarise(
        job, finished=finished, wall_s=time.monotonic() - started_s, start_up_s=progress.start_up_s
    )
    _print_next(result, finished)
    return result


def _prepare(config: "RunConfig", hardware: "Hardware", owner: "Ownership", *, resume: bool) -> "TrainJob":
    from unetpp.config.planning.placement import waiting
    from unetpp.train.run.prepare import new_run, resumed_run

    if resume:
        job, decisions = resumed_run(config, hardware, owner)
        _print_resumed(job.config, decisions)
    else:
        job, decisions = new_run(config, hardware, owner)
        print_decisions(decisions)
    if missing := waiting(job.config, hardware, 1):
        note(missing)
    return job


def print_decisions(decisions: "tuple[Decision, ...]") -> None:
    """One line for each `auto`: what it was decided to be, and why."""
    for decision in decisions:
        note(f"auto  {decision.field} = {decision.value}  ({decision.reason})")


def print_changes(decisions: "tuple[Decision, ...]") -> None:
    """One line for each field that a resume changes."""
    for decision in decisions:
        note(f"now   {decision.field} = {decision.value}  ({decision.reason})")


def _print_resumed(config: "RunConfig", decisions: "tuple[Decision, ...]") -> None:
    """Where a run goes on, and one line for each field that is not as it was."""
    note(f"continuing {config.run_uri}")
    print_changes(decisions)
    address = config.scale.address
    if address is not None and "scale.address" not in {decision.field for decision in decisions}:
        note(f"on the cluster at {address}, as before; scale.address=none trains in this process")


def _ended(job: "TrainJob") -> dict[str, Any] | None:
    """The result of a run of which nothing is left to train."""
    from unetpp.core.rundir import RunDir
    from unetpp.train.run.checkpoint import last_state
    from unetpp.train.run.result import summarise

    run = RunDir(job.run_uri)
    done, reason = run.read_result(), last_state(run).ended_by(job.config.train)
    if done is None and reason is None:
        return None
    note(f"{job.run_uri} has finished; nothing is left to train{'' if reason is None else f': {reason}'}")
    return done or summarise(job, finished=True, wall_s=0.0, start_up_s=None)


def _print_next(result: dict[str, Any], finished: bool) -> None:
    run = result["run"]
    if not finished:
        note(f"stopped; nothing is lost. Continue: {shown_command('train', f'out={run}', '--resume')}")
        return
    metrics = result["metrics"]
    if metrics:
        note(f"best epoch {result['best_epoch']}: Dice {metrics['dice']:.4f}  IoU {metrics['iou']:.4f}")
    note(f"evaluate: {shown_command('evaluate', run)}")
    note(f"report:   {shown_command('report', run)}")
