"""unetpp cluster: a Ray cluster on this machine with its pages, and definitions of others."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unetpp.cli.terminal.output import Json, emit, note
from unetpp.core.commands import shown_command

if TYPE_CHECKING:
    from unetpp.launch.local_cluster.state import ClusterState

__all__ = ["register"]

_Name = Annotated[str, typer.Option(help="Tells clusters on one machine apart.")]
_Dir = Annotated[
    Path | None,
    typer.Option("--dir", help="Folder that remembers clusters [default: ~/.local/state/unetpp/clusters]."),
]
_DEFAULT_NAME = "local"


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    cluster = typer.Typer(no_args_is_help=True, help="A local Ray cluster, and definitions of others.")
    app.add_typer(cluster, name="cluster")
    cluster.command("render")(_render)
    cluster.command("status")(_status)
    cluster.command("down")(_down)

    @cluster.command()
    def up(
        nodes: Annotated[int, typer.Option(min=1, max=32, help="Ray nodes, each its own processes.")] = 1,
        out: Annotated[
            str, typer.Option(help="Folder or URI whose runs and sweeps the pages show.")
        ] = "runs",
        cpus_per_node: Annotated[
            int | None,
            typer.Option(min=1, help="Logical CPUs a node [default: the cores, shared]."),
        ] = None,
        port: Annotated[
            int | None, typer.Option(help="Port of the cluster's address [default: a free one].")
        ] = None,
        name: _Name = _DEFAULT_NAME,
        directory: _Dir = None,
        json: Json = False,
    ) -> None:
        """Start a cluster that asks for a token, its dashboards, and one page that shows them all."""
        from unetpp.config.planning.hardware import this_node
        from unetpp.core.storage import open_storage
        from unetpp.launch.local_cluster.cluster import ClusterRequest, cluster_up
        from unetpp.launch.local_cluster.folders import cluster_folder, remember_folder

        request = ClusterRequest(name, open_storage(out).uri, nodes, cpus_per_node, port)
        folder = cluster_folder(name, directory)
        if directory is not None:
            remember_folder(directory)
        state, started = cluster_up(folder, request, this_node(), note)
        if not started:
            note(f"cluster {name} ran already")
        if json:
            emit({"started": started, **_public(state)}, json=True)
        else:
            emit(_next_steps(state, _options(folder)), json=False)


def _status(name: _Name = _DEFAULT_NAME, directory: _Dir = None, json: Json = False) -> None:
    """Show what runs: processes, ports and pages."""
    from unetpp.launch.local_cluster.cluster import cluster_status
    from unetpp.launch.local_cluster.folders import find_cluster

    folder = find_cluster(name, directory)
    found = cluster_status(folder)
    if json:
        emit(found, json=True)
    else:
        _print_status(found, _options(folder))


def _down(name: _Name = _DEFAULT_NAME, directory: _Dir = None, json: Json = False) -> None:
    """Stop exactly what `up` started; doing it twice is fine."""
    from unetpp.launch.local_cluster.cluster import cluster_down
    from unetpp.launch.local_cluster.folders import find_cluster

    stopped = cluster_down(find_cluster(name, directory))
    if not stopped:
        note(f"no cluster {name} runs")
    emit({"stopped": stopped}, json=json)


def _options(folder: Path) -> list[str]:
    """What the next command has to be told to find the cluster in this folder."""
    from unetpp.launch.local_cluster.folders import cluster_folder

    named = [] if folder.name == _DEFAULT_NAME else ["--name", folder.name]
    is_default = folder == cluster_folder(folder.name, None)
    return named if is_default else [*named, "--dir", str(folder.parent)]


def _next_steps(state: "ClusterState", options: list[str]) -> dict[str, str]:
    from unetpp.launch.dashboard_api import DEFAULT_ADDRESS
    from unetpp.launch.token import token_path

    url = state.urls["ray"]
    address = [] if url == DEFAULT_ADDRESS else ["--address", url]
    return {
        "page": state.urls["page"],
        "token": f"{token_path()}, which Ray's dashboard at {url} asks for",
        "submit": shown_command("submit", *address, "train", "data.uri=...", "out=..."),
        "join": shown_command("train", "data.uri=...", "out=...", f"scale.address={state.plan.address}"),
        "stop": shown_command("cluster", "down", *options),
    }


def _public(state: "ClusterState") -> dict[str, Any]:
    return {
        "name": state.name,
        "address": state.plan.address,
        "nodes": state.plan.nodes,
        "out": state.out,
        "urls": state.urls,
        "ports": state.ports,
        "pids": {process.name: process.pid for process in state.processes},
    }


def _print_status(found: dict[str, Any], options: list[str]) -> None:
    from unetpp.cli.terminal.tables import print_table

    simple = ("state", "name", "address", "out", "nodes")
    emit({key: found[key] for key in simple if key in found}, json=False)
    if not found["processes"]:
        return
    rows = [
        [entry["name"], str(entry["pid"]), "running" if entry["running"] else "ended"]
        for entry in found["processes"]
    ]
    print_table(["process", "pid", "state"], rows)
    print_table(["page", "url"], [[name, url] for name, url in found["urls"].items()])
    note(f"logs: {Path(found['processes'][0]['log']).parent}")
    if found["state"] == "degraded":
        # Without its head a cluster starts afresh, as it is told to.
        wanted = ("--nodes", found["nodes"]["started"], "--out", found["out"])
        note(f"start again what was lost: {shown_command('cluster', 'up', *wanted, *options)}")


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
