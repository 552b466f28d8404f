"""unetpp cluster: a Ray cluster on this machine with its pages, and definitions of others."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unetpp.cli.cluster_render import register_render
from unetpp.cli.output import Json, emit, note

if TYPE_CHECKING:
    from unetpp.launch.cluster.state import ClusterState

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
    register_render(cluster)

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
        from unetpp.config import detect_hardware
        from unetpp.core.storage import open_storage
        from unetpp.launch.cluster.local import ClusterRequest, cluster_up

        request = ClusterRequest(name, open_storage(out).uri, nodes, cpus_per_node, port)
        state, started = cluster_up(_folder(directory, name), request, detect_hardware(), note)
        if not started:
            note(f"cluster {name} ran already")
        if json:
            emit({"started": started, **_public(state)}, json=True)
        else:
            emit(_next_steps(state, name), json=False)

    @cluster.command()
    def status(name: _Name = _DEFAULT_NAME, directory: _Dir = None, json: Json = False) -> None:
        """Show what runs: processes, ports and pages."""
        from unetpp.launch.cluster.local import cluster_status

        found = cluster_status(_folder(directory, name))
        if json:
            emit(found, json=True)
        else:
            _print_status(found, name)

    @cluster.command()
    def down(name: _Name = _DEFAULT_NAME, directory: _Dir = None, json: Json = False) -> None:
        """Stop exactly what `up` started; doing it twice is fine."""
        from unetpp.launch.cluster.local import cluster_down

        stopped = cluster_down(_folder(directory, name))
        if not stopped:
            note(f"no cluster {name} runs")
        emit({"stopped": stopped}, json=json)


def _folder(folder: Path | None, name: str) -> Path:
    from unetpp.core.errors import UserError
    from unetpp.launch.cluster.state import default_folder

    if not name or Path(name).name != name or name in (".", ".."):
        raise UserError(f"--name {name!r} must be a plain word, without slashes; it names a folder")
    return (folder or default_folder()).expanduser().resolve() / name


def _option(name: str) -> str:
    return "" if name == _DEFAULT_NAME else f" --name {name}"


def _next_steps(state: "ClusterState", name: str) -> dict[str, str]:
    from unetpp.launch.head import DEFAULT_ADDRESS
    from unetpp.launch.token import token_path

    url = state.urls["ray"]
    address = "" if url == DEFAULT_ADDRESS else f" --address {url}"
    return {
        "page": state.urls["page"],
        "token": f"{token_path()}, which Ray's dashboard at {url} asks for",
        "submit": f"unetpp submit{address} train data.uri=... out=...",
        "join": f"unetpp train ... scale.address={state.plan.address}",
        "stop": f"unetpp cluster down{_option(name)}",
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


def _print_status(found: dict[str, Any], name: str) -> None:
    from unetpp.cli.tables import print_table

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
        note(f"start again what was lost: unetpp cluster up{_option(name)}")
