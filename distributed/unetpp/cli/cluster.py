"""unetpp cluster: definitions of Ray clusters."""

import typer

from unetpp.cli.cluster_render import register_render

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    cluster = typer.Typer(no_args_is_help=True, help="Definitions of Ray clusters.")
    app.add_typer(cluster, name="cluster")
    register_render(cluster)
