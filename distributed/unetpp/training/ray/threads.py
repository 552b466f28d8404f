"""The threads of this process, a worker among those that run on its machine."""

import ray
import torch

from unetpp.config.planning.hardware import available_cpus
from unetpp.config.planning.shares import worker_threads
from unetpp.config.run import RunConfig

__all__ = ["set_threads"]


def set_threads(config: RunConfig, sharing: int) -> None:
    """Set torch's threads; Ray itself sets one for a fraction of a CPU.

    Args:
        config: of the run.
        sharing: workers of this machine that run at once, of its own run and of others.
    """
    torch.set_num_threads(worker_threads(config, available_cpus(), sharing, _logical_cpus()))


def _logical_cpus() -> float:
    """Of all nodes at this machine's address: a cluster on one machine has several."""
    own = ray.get_runtime_context().get_node_id()
    nodes = [node for node in ray.nodes() if node["Alive"]]
    address = next((node["NodeManagerAddress"] for node in nodes if node["NodeID"] == own), None)
    return sum(
        float(node["Resources"].get("CPU", 0.0)) for node in nodes if node["NodeManagerAddress"] == address
    )
