"""unetpp tune: a sweep over a search space."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unetpp.cli.output import STOPPED, emit, note
from unetpp.cli.train import split_arguments

if TYPE_CHECKING:
    from unetpp.train.job import TrainJob
    from unetpp.tune.sweep import Sweep

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command()
    def tune(
        space: Annotated[Path, typer.Argument(metavar="SPACE.py", help="A file with space(trial) -> dict.")],
        arguments: Annotated[
            list[str] | None, typer.Argument(metavar="[CONFIG.yaml] key=value ...", help="As for train.")
        ] = None,
        resume: Annotated[bool, typer.Option("--resume", help="Go on with the sweep at out=.")] = False,
        json: Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")] = False,
    ) -> None:
        """Search depth, dilation, loss weights and more with Optuna on Ray Tune."""
        from unetpp.config import load_config

        path, overrides = split_arguments(arguments or [])
        result = _tune(space, load_config(path, overrides), resume=resume)
        emit(result, json=json)
        if not result["finished"]:
            raise typer.Exit(STOPPED)


def _tune(space: Path, config: Any, *, resume: bool) -> dict[str, Any]:
    from unetpp.config import detect_hardware, resolve
    from unetpp.core.errors import ConfigError
    from unetpp.core.logs import setup_logging
    from unetpp.tune.sweep import cluster_resources, concurrency, run_sweep, start_sweep

    setup_logging("INFO")
    if not config.data.uri:
        raise ConfigError("data.uri is empty; name a packed dataset: data.uri=URI")
    hardware = detect_hardware()
    sweep = start_sweep(config, space, hardware, resume=resume)
    base, _ = resolve(sweep.setup.base, sweep.setup.manifest, hardware)

    from unetpp.cli.sweep_table import SweepTable
    from unetpp.launch.connect import connected
    from unetpp.tune.budget import estimate
    from unetpp.tune.leaderboard import sweep_summary
    from unetpp.tune.probe import seconds_per_epoch

    cpus = float(base.scale.cpus_per_worker)
    local = {"CPU": float(hardware.cpus), "GPU": float(hardware.gpus)}
    planned = base.max_workers * (1 if base.scale.address else concurrency(base, local))
    with connected(base.scale.address, workers=planned, cpus_per_worker=cpus):
        concurrent = concurrency(base, cluster_resources() if base.scale.address else local)
        if base.scale.address:
            note("no estimate of the duration: the cluster's devices are not this machine's")
        else:
            epoch_s = seconds_per_epoch(base, sweep.setup.manifest, concurrent)
            note(estimate(epoch_s, base.train.epochs, concurrent, base.tune))
        with SweepTable(base.model_dump(mode="json"), base.train.epochs) as table:
            ledger = run_sweep(sweep, table, concurrent)
        confirmed = _confirm(sweep) if base.tune.confirm and not ledger.interrupted else None
    reason = ledger.exhausted()
    if reason:
        note(f"ended early: {reason}")
    finished = not ledger.interrupted
    result = {"sweep": sweep.setup.sweep_uri, "finished": finished, **sweep_summary(sweep.study)}
    if confirmed is not None:
        result["confirmed"] = confirmed
    _print_best(result, space)
    return result


def _confirm(sweep: "Sweep") -> dict[str, Any]:
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
    result = confirm(chosen, setup.manifest, setup.sweep_uri, train)
    winner, *others = result["candidates"]
    score = winner["dice_per_image"]
    note(f"confirmed: trial {winner['trial']} level {winner['level']}, Dice per image {score:.4f}")
    if others and not result["distinguishable"]:
        second = result["against_winner"][others[0]["trial"]]
        note(f"it cannot be told from trial {others[0]['trial']}: p = {second['p_value']:.2f}")
    return result


def _print_best(result: dict[str, Any], space: Path) -> None:
    from unetpp.tune.sweep_dir import trial_uri

    sweep, best = result["sweep"], result["best"]
    if not result["finished"]:
        note(f"stopped; nothing is lost. Continue: unetpp tune {space} data.uri=... out={sweep} --resume")
    if best is not None:
        run = trial_uri(sweep, best["trial"])
        note(f"best: trial {best['trial']} level {best['level']}, {best['value']:.4f}")
        note(f"evaluate: unetpp evaluate {run} --split test --level {best['level']}")
        note(f"export:   unetpp export {run} --out model.safetensors --level {best['level']}")
