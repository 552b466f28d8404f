"""unetpp cluster render: a cluster definition filled in."""

from pathlib import Path
from typing import Annotated

import typer

from unetpp.cli.terminal.output import Json, emit

__all__ = ["register_render"]


def register_render(cluster: typer.Typer) -> None:
    """Add the verb to the sub-commands of `unetpp cluster`."""
    cluster.command("render")(_render)


def _render(
    target: Annotated[str, typer.Argument(help="kuberay, slurm or compose.")],
    workers: Annotated[int, typer.Option(min=1, help="Worker nodes, at most.")] = 2,
    gpus: Annotated[int, typer.Option(min=0, help="GPUs of each worker node.")] = 0,
    image: Annotated[str | None, typer.Option(help="Image of every node [default: the file's].")] = None,
    kind: Annotated[
        str | None, typer.Option(help="cluster, pack, train or tune [default: cluster; slurm: train].")
    ] = None,
    bucket: Annotated[str | None, typer.Option(help="Name of the bucket that jobs read and write.")] = None,
    out: Annotated[Path | None, typer.Option(help="File to write [default: stdout].")] = None,
    json: Json = False,
) -> None:
    """Fill a definition of cluster/ in for your number of workers, GPUs and image."""
    from typing import get_args

    from unetpp.core.errors import InputError, UserError
    from unetpp.launch.definitions import Kind, RenderRequest, Target, render

    kind = kind or ("train" if target == "slurm" else "cluster")
    for value, known in ((target, get_args(Target)), (kind, get_args(Kind))):
        if value not in known:
            raise UserError(f"{value} must be one of {', '.join(known)}; correct it")
    text = render(RenderRequest(target, kind, workers, gpus, image, bucket))  # type: ignore[arg-type]  # checked
    if out is None and not json:
        typer.echo(text, nl=False)
        return
    if out is not None:
        try:
            out.write_text(text, encoding="utf-8")
        except OSError as error:
            raise InputError(f"--out {out} cannot be written: {error.strerror}; choose another") from error
    emit({"file": str(out)} if out else {"text": text}, json=json)
