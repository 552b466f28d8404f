"""unetpp tune: a sweep over a search space."""

from typing import Annotated, Any

import typer

from unetpp.cli.terminal.output import STOPPED, Json, emit, note
from unetpp.cli.verbs.train import split_arguments
from unetpp.core.commands import shown_command
from unetpp.core.errors import UnetppError

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
        from unetpp.api.progress.watcher import ProgressWatcher
        from unetpp.api.tuning import load_sweep_request, tune_sweep
        from unetpp.core.logs import setup_logging

        setup_logging("INFO")
        config_file, overrides = split_arguments(given)
        config, loaded = load_sweep_request(space, config_file, overrides, resume=resume)
        result = tune_sweep(config, loaded, ProgressWatcher(), resume=resume)
        _print_best(result)
        causes = result.pop("causes")
        emit(result if json else _short(result), json=json)
        if not result["finished"]:
            raise typer.Exit(STOPPED)
        if result["best"] is None and causes:
            raise UnetppError(_no_result(causes))


def _short(result: dict[str, Any]) -> dict[str, Any]:
    """With the number of candidates in place of them all."""
    candidates = result.get("candidates")
    return result if candidates is None else result | {"candidates": len(candidates)}


def _no_result(causes: list[tuple[str, int]]) -> str:
    lines = [f"{count} x {cause}" for cause, count in causes]
    told = "\n  ".join(lines)
    return f"no trial of the sweep has a result; mend the cause, then start anew with another out=:\n  {told}"


def _print_best(result: dict[str, Any]) -> None:
    from unetpp.core.places import trial_uri
    from unetpp.tuning.kept_space import resume_command
    from unetpp.tuning.results.confirmed import winner_run

    sweep, best, confirmed = result["sweep"], result["best"], result.get("confirmed")
    if not result["finished"]:
        note(f"stopped; nothing is lost. Continue: {resume_command(sweep)}")
    if best is None:
        return
    run, level, score = (
        trial_uri(sweep, best["trial"]),
        best["level"],
        f"{result['metric']} {best['value']:.4f}",
    )
    dilation = ",".join(map(str, best.get("dilation", ())))
    named: tuple[str, int | str] = ("--dilation", dilation) if dilation else ("--level", level)
    winner = {} if confirmed is None else confirmed["candidates"][0]
    if all(winner.get(key) == best.get(key) for key in ("trial", "level", "dilation")):
        # A run of its own has one dilation.
        named = "--level", level
        run = winner_run(sweep, result["confirmed"])
        seeds = ", ".join(map(str, winner["seeds"]))
        score += f"; confirmed with seeds {seeds}: Dice per image {winner['dice_per_image']:.4f}"
    network = f"level {level} at dilation {dilation}" if dilation else f"level {level}"
    note(f"best: trial {best['trial']} {network}, {score}")
    note(f"evaluate: {shown_command('evaluate', run, *named)}")
    note(f"export:   {shown_command('export', run, '--out', 'model.safetensors', *named)}")
