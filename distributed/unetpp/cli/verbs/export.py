"""unetpp export: one file that holds the trained network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from unetpp.cli.terminal.dilation import Dilation, parse_dilation
from unetpp.cli.terminal.output import Json, emit, note
from unetpp.cli.terminal.tables import print_table
from unetpp.core.process_memory import keep_freed_memory

__all__ = ["register"]

Precision = Literal["float32", "int8"]
Target = Literal["cpu", "gpu"]

Out = Annotated[
    Path,
    typer.Option(
        help="File: .safetensors, .pt2 (torch.export), .onnx or .xml (OpenVINO); with --target the "
        "ending may be left out."
    ),
]
CandidateNumber = Annotated[
    int | None,
    typer.Option(metavar="N", help="Of a sweep with tune.one_shot=depth+dilation, from 0: best first."),
]
TargetOption = Annotated[
    Target | None, typer.Option(help="Measure levels, engines and precisions here and write the fastest.")
]
MaxDrop = Annotated[
    float | None,
    typer.Option(help="With --target: of the Dice, below the full network's [default: 0.01]."),
]


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command()
    def export(
        run: Annotated[
            str,
            typer.Argument(metavar="RUN|SWEEP", help="A run's folder or URI, a sweep's with --candidate."),
        ],
        out: Out,
        level: Annotated[int | None, typer.Option(help="Head to keep [default: the deepest].")] = None,
        dilation: Dilation = None,
        candidate: CandidateNumber = None,
        precision: Annotated[
            Precision | None,
            typer.Option(help="Of the convolutions; int8 in .onnx and .xml files [default: float32]."),
        ] = None,
        target: TargetOption = None,
        max_drop: MaxDrop = None,
        licence: Annotated[
            str | None,
            typer.Option(metavar="NAME", help="Of the weights, e.g. CC-BY-4.0; kept in the file."),
        ] = None,
        overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
        json: Json = False,
    ) -> None:
        """Write the network pruned to one level, and check it against the run on validation images.

        A model card lies beside the file, with --target also a picture of what was measured.

        ONNX needs pip install 'unetpp[onnx]', OpenVINO 'unetpp[openvino]'.
        """
        from unetpp.api.exporting import MAX_DROP, export_for, export_one

        keep_freed_memory()
        if target is not None or max_drop is not None:
            _refuse_beside_target(
                target,
                {
                    "--level": level,
                    "--dilation": dilation,
                    "--candidate": candidate,
                    "--precision": precision,
                },
            )
            assert target is not None
            drop = MAX_DROP if max_drop is None else max_drop
            options = {"licence": licence, "overwrite": overwrite}
            found = export_for(run, out, target, max_drop=drop, on_candidate=_measuring, **options)
            if not json:
                _print_table(found.pop("table"))
            emit(found, json=json)
            return
        shared = parse_dilation(dilation)
        if candidate is not None:
            run, level, shared = _candidate(run, candidate, alone=level is None and shared is None)
        options = {"precision": precision or "float32", "licence": licence, "overwrite": overwrite}
        emit(export_one(run, out, level=level, dilation=shared, **options), json=json)


def _refuse_beside_target(target: str | None, others: Mapping[str, Any]) -> None:
    """
    Raises:
        ConfigError: there is no target, or what it decides was given, too.
    """
    from unetpp.core.errors import ConfigError

    if target is None:
        raise ConfigError("--max-drop is of --target cpu or gpu; give that, too")
    given = [name for name, value in others.items() if value is not None]
    if given:
        raise ConfigError(f"--target chooses level and precision; leave {given[0]} out")


def _measuring(said: str) -> None:
    note(f"measuring {said}")


def _print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    heads = ("level", "engine", "precision", "Dice", "drop", "IoU", "images/s", "times", "MB")
    first = rows[0]["images_per_s"]
    print_table(
        heads,
        [
            (
                str(row["level"]),
                row["engine"],
                row["precision"],
                *(f"{row[key]:.4f}" for key in ("dice", "drop", "iou")),
                f"{row['images_per_s']:.2f}",
                f"{row['images_per_s'] / first:.2f}",
                f"{row['bytes'] / 1e6:.2f}",
            )
            for row in rows
        ],
    )


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
