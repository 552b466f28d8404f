"""unetpp compare: runs side by side."""

from typing import Annotated, Any

import typer

from unetpp.cli.terminal.output import Json, emit, note
from unetpp.cli.terminal.tables import print_table

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command()
    def compare(
        runs: Annotated[list[str], typer.Argument(metavar="RUN RUN ...", help="Folders or URIs of runs.")],
        json: Json = False,
    ) -> None:
        """Compare scores, cost and configuration; runs evaluated on one split are compared image by image."""
        from unetpp.report.compare import compare_runs

        result = compare_runs(runs)
        if json:
            emit(result, json=True)
        else:
            _print_comparison(result)


def _print_comparison(result: dict[str, Any]) -> None:
    from unetpp.report.numbers import count_text, duration_text, score, significant

    names = [run["run"] for run in result["runs"]]
    levels = sorted({level for run in result["runs"] for level in run["levels"]}, key=int)
    rows = [("Dice", [score(run["dice"]) for run in result["runs"]])]
    rows += [("IoU", [score(run["iou"]) for run in result["runs"]])]
    for level in levels:
        dice = [run["levels"].get(level, {}).get("dice") for run in result["runs"]]
        rows.append((f"Dice level {level}", [score(value) for value in dice]))
    rows += [
        ("parameters", [count_text(run["params"]) for run in result["runs"]]),
        ("MACs", [count_text(run["macs"]) for run in result["runs"]]),
        ("epochs", [str(run["epochs"]) for run in result["runs"]]),
        ("training time", [duration_text(run["seconds"]) for run in result["runs"]]),
    ]
    rows += [(field, [significant(value) for value in values]) for field, values in result["config"].items()]
    print_table(("", *names), [(name, *values) for name, values in rows])
    source = f"split {result['split']}" if result["split"] else "best validation of each run"
    typer.echo(f"scores: {source}")
    for pair in result["paired"]:
        verdict = "distinguishable" if pair["distinguishable"] else "not distinguishable"
        typer.echo(
            f"{pair['run']} - {pair['reference']}: Dice per image {pair['mean_difference']:+.4f} "
            f"[{pair['ci_low']:+.4f}, {pair['ci_high']:+.4f}] over {pair['images']} images, "
            f"p = {pair['p_value']:.3f}{_correction(pair, len(result['paired']))}, {verdict}"
        )
    if not result["paired"]:
        note("to compare image by image, evaluate all runs on one split: unetpp evaluate RUN --split test")


def _correction(pair: dict[str, Any], comparisons: int) -> str:
    return "" if comparisons < 2 else f" ({pair['p_corrected']:.3f} by Holm over {comparisons} comparisons)"
