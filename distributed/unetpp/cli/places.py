"""Whether the connected cluster has nodes for what a command is about to start."""

from typing import TYPE_CHECKING

from unetpp.cli.output import note

if TYPE_CHECKING:
    from unetpp.config import RunConfig

__all__ = ["require_places"]


def require_places(config: "RunConfig", *, driver_cpus: float) -> int:
    """How many trainings of this configuration can run at once.

    Raises:
        ConfigError: not one, or no node may read the data.
    """
    from unetpp.core.errors import ConfigError
    from unetpp.launch.connect import cluster_nodes
    from unetpp.tune.placement import concurrency, worker_slots

    scale = config.scale
    if config.data.labels and not scale.autoscaling and not cluster_nodes(config.data.labels):
        raise ConfigError(
            f"data.labels={config.data.labels} must mean a node of the cluster; none of its "
            f"{len(cluster_nodes({}))} node(s) has these labels; correct them, or leave them out"
        )
    nodes = cluster_nodes(scale.labels)
    count = concurrency(config, nodes, driver_cpus=driver_cpus)
    places = sum(worker_slots(config, node) for node in nodes)
    if places < count * config.min_workers:
        note(f"{places} of {count * config.min_workers} workers have a place now; the others wait for nodes")
    return count
