"""unetpp export: one file that holds the trained network."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from unetpp.cli.terminal.dilation import Dilation, parse_dilation
from unetpp.cli.terminal.output import Json, emit

__all__ = ["register"]

Precision = Literal["float32", "int8"]


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command()
    def export(
        run: Annotated[
            str,
            typer.Argument(metavar="RUN|SWEEP", help="A run's folder or URI, a sweep's with --candidate."),
        ],
        out: Annotated[
            Path, typer.Option(help="File: .safetensors, .pt2 (torch.export), .onnx or .xml (OpenVINO).")
        ],
        level: Annotated[int | None, typer.Option(help="Head to keep [default: the deepest].")] = None,
        dilation: Dilation = None,
        candidate: Annotated[
            int | None,
            typer.Option(
                metavar="N", help="Of a sweep with tune.one_shot=depth+dilation, from 0: best first."
            ),
        ] = None,
        precision: Annotated[
            Precision, typer.Option(help="Of the convolutions; int8 in .onnx and .xml files.")
        ] = "float32",
        licence: Annotated[
            str | None,
            typer.Option(metavar="NAME", help="Of the weights, e.g. CC-BY-4.0; kept in the file."),
        ] = None,
        overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
        json: Json = False,
    ) -> None:
        """Write the network pruned to one level, and check it against the run on validation images.

        ONNX needs pip install 'unetpp[onnx]', OpenVINO 'unetpp[openvino]'.
        """
        from unetpp.inference.export import export_run

        shared = parse_dilation(dilation)
        if candidate is not None:
            run, level, shared = _candidate(run, candidate, alone=level is None and shared is None)
        options: dict[str, Any] = {"precision": precision, "licence": licence, "overwrite": overwrite}
        emit(export_run(run, out, level=level, dilation=shared, **options), json=json)


def _candidate(sweep: str, number: int, *, alone: bool) -> tuple[str, int, tuple[int, ...]]:
    """Run, level and dilations of a sweep's candidate.

    Raises:
        ConfigError: the network was named in another way too, or there is no such candidate.
    """
    from unetpp.core.errors import ConfigError
    from unetpp.tuning.shared_network import shared_network

    if not alone:
        raise ConfigError("--candidate names the network; leave --level and --dilation out")
    found = shared_network(sweep, number)
    return found.run_uri, found.level, found.dilation
