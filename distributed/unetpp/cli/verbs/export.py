"""unetpp export: one file that holds the trained network."""

from pathlib import Path
from typing import Annotated

import typer

from unetpp.cli.terminal.output import Json, emit

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command()
    def export(
        run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder or URI.")],
        out: Annotated[Path, typer.Option(help="File to write: .safetensors, or .pt2 for torch.export.")],
        level: Annotated[int | None, typer.Option(help="Head to keep [default: the deepest].")] = None,
        overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
        json: Json = False,
    ) -> None:
        """Write the network pruned to one level, and check it against the run."""
        from unetpp.inference.export import export_run

        emit(export_run(run, out, level=level, overwrite=overwrite), json=json)
