"""unetpp report: one self-contained HTML page."""

from pathlib import Path
from typing import Annotated

import typer

from unetpp.cli.output import emit

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command()
    def report(
        run: Annotated[str, typer.Argument(metavar="RUN", help="Folder or URI of a run, finished or not.")],
        out: Annotated[Path | None, typer.Option(help="File to write [default: RUN/report.html].")] = None,
        json: Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")] = False,
    ) -> None:
        """Write a page with scores, curves, examples, dataset, configuration and provenance."""
        from unetpp.report.run_report import write_run_report

        emit({"run": run, "report": write_run_report(run, out)}, json=json)
