"""unetpp train: one run from a configuration."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unetpp.cli.terminal.output import STOPPED, Json, emit, note
from unetpp.core.commands import shown_command

if TYPE_CHECKING:
    from unetpp.config import RunConfig

__all__ = ["register", "run_training", "split_arguments"]


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
    """Train as configured, say what happens, and return the result object.

    Raises:
        UserError: something the caller can fix.
    """
    from unetpp.api.cross_validation import train_runs
    from unetpp.api.progress.watcher import ProgressWatcher
    from unetpp.core.logs import setup_logging

    setup_logging("WARNING")
    result = train_runs(config, ProgressWatcher(), resume=resume)
    _print_next(result)
    return result


def _print_next(result: dict[str, Any]) -> None:
    run = result["run"]
    if not result["finished"]:
        note(f"stopped; nothing is lost. Continue: {shown_command('train', f'out={run}', '--resume')}")
        return
    metrics = result["metrics"]
    if "folds" in result:
        note(f"out of fold: Dice {metrics['dice']:.4f}  IoU {metrics['iou']:.4f}, see {run}/out_of_fold.json")
        note(f"predict with all: {shown_command('predict', run, 'IMAGES', '--out', 'MASKS')}")
        return
    if metrics:
        note(f"best epoch {result['best_epoch']}: Dice {metrics['dice']:.4f}  IoU {metrics['iou']:.4f}")
    note(f"evaluate: {shown_command('evaluate', run)}")
    note(f"report:   {shown_command('report', run)}")
