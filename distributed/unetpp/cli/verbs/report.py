"""unetpp report: one self-contained HTML page."""

from pathlib import Path
from typing import Annotated

import typer

from unetpp.cli.terminal.output import Json, emit

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command()
    def report(
        uri: Annotated[
            str,
            typer.Argument(metavar="RUN_OR_SWEEP", help="Folder or URI of a run or sweep, finished or not."),
        ],
        out: Annotated[
            Path | None, typer.Option(help="File to write [default: report.html in the folder].")
        ] = None,
        json: Json = False,
    ) -> None:
        """Write a page: of a run its scores, curves and examples; of a sweep its leaderboard and trials."""
        from unetpp.core.errors import InputError
        from unetpp.core.places import RUN_CONFIG, SWEEP_CONFIG, misplaced
        from unetpp.core.rundir import RunDir
        from unetpp.core.storage import open_storage

        storage = open_storage(uri)
        if storage.exists(SWEEP_CONFIG):
            from unetpp.report.sweep.page import write_sweep_report

            emit({"sweep": uri, "report": write_sweep_report(uri, out)}, json=json)
        elif RunDir(uri).exists():
            from unetpp.report.run.page import write_run_report

            emit({"run": uri, "report": write_run_report(uri, out)}, json=json)
        else:
            if misplaced(storage, "run"):
                RunDir(uri).require()
            raise InputError(
                f"no run and no sweep at {uri}: neither {RUN_CONFIG} nor {SWEEP_CONFIG} is there; "
                "name the folder `unetpp train` or `unetpp tune` wrote"
            )
