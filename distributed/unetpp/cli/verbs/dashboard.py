"""unetpp dashboard: a page on this machine that follows runs and sweeps."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unetpp.cli.terminal.output import emit, note

if TYPE_CHECKING:
    from unetpp.launch.local_cluster.state import ClusterState
    from unetpp.launch.node_use import GpuUse, NodeUse
    from unetpp.report.live.site import LinkedPage

__all__ = ["node_rows", "register"]

_TITLES = {
    "ray": ("Ray dashboard: jobs, actors, logs; asks for the token", False),  # which belongs in no frame
    "optuna-dashboard": ("optuna-dashboard: the newest sweep", True),
    "tensorboard": ("TensorBoard", True),
    "prometheus": ("Prometheus", False),
}


def register(app: typer.Typer) -> None:
    """Add the verb."""

    @app.command()
    def dashboard(
        uri: Annotated[
            str, typer.Argument(metavar="URI", help="Folder or URI with runs and sweeps, also a single one.")
        ],
        port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free port.")] = 0,
        address: Annotated[
            str | None, typer.Option(metavar="URL", help="Dashboard of a Ray cluster whose nodes are shown.")
        ] = None,
        cluster: Annotated[
            Path | None, typer.Option(help="Folder of a local cluster: its nodes and pages are shown.")
        ] = None,
        json: Annotated[
            bool, typer.Option("--json", help="Print one JSON object, with the URL, when it serves.")
        ] = False,
    ) -> None:
        """Serve a live page of runs, sweeps, curves and predictions; needs no other server."""
        from unetpp.core.errors import InputError
        from unetpp.core.logs import setup_logging
        from unetpp.core.storage import open_storage, preflight
        from unetpp.launch.local_cluster.state import read_state
        from unetpp.report.live.server import LiveServer
        from unetpp.report.live.site import Site

        setup_logging("WARNING")
        storage = open_storage(uri)
        if not storage.is_local:
            preflight(storage, write=False)
        elif storage.local_path().is_file():
            raise InputError(f"{uri} is a file; name a folder with runs and sweeps, or one of them")
        state = None if cluster is None else read_state(cluster)
        head = state.urls["ray"] if state is not None else _url(address)
        server = LiveServer(Site(uri, cluster=_nodes(head), pages=_pages(state)), port)
        emit({"url": server.url}, json=json)
        note("Ctrl-C ends it")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            note("ended")
        finally:
            server.server_close()


def node_rows(nodes: "Sequence[NodeUse]") -> list[list[str]]:
    """One row a node."""
    from unetpp.report.numbers import bytes_text, percent

    def gpu_text(gpu: "GpuUse") -> str:
        return f"{gpu.name} {percent(gpu.busy)}, {bytes_text(gpu.used_bytes)} of {bytes_text(gpu.bytes)}"

    return [
        [
            node.name,
            node.state,
            percent(node.cpu),
            f"{bytes_text(node.memory_used_bytes)} of {bytes_text(node.memory_bytes)}"
            if node.memory_bytes
            else "–",
            "; ".join(map(gpu_text, node.gpus)) or "–",
            node.resources_used or "–",
        ]
        for node in nodes
    ]


def _url(address: str | None) -> str | None:
    return address if address is None or "://" in address else f"http://{address}"


def _nodes(head: str | None) -> Callable[[], list[dict[str, Any]]]:
    def blocks() -> list[dict[str, Any]]:
        from unetpp.launch.node_use import node_use
        from unetpp.report.live.blocks import table

        if head is None:
            return []
        columns = ("Node", "State", "CPU", "Memory", "GPU", "Ray resources")
        return [table("Cluster", columns, node_rows(node_use(head)), "No node answers.")]

    return blocks


def _pages(state: "ClusterState | None") -> "list[LinkedPage]":
    from unetpp.report.live.site import LinkedPage

    if state is None:
        return []
    return [
        LinkedPage(title, state.urls[n], embed) for n, (title, embed) in _TITLES.items() if n in state.urls
    ]
