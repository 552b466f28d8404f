"""Machines that tests plan for: one, and a cluster whose head offers nothing."""

from unetpp.config import Hardware, Node

__all__ = ["GIB", "cluster", "machine"]

GIB = 2**30


def machine(
    cpus: float = 2,
    memory_bytes: int | None = 8 * GIB,
    gpus: int = 0,
    gpu_memory_bytes: int | None = None,
    free_disk_bytes: int = 0,
) -> Hardware:
    """One machine, as `detect_hardware` describes it."""
    return Hardware((Node(cpus, memory_bytes, gpus, gpu_memory_bytes),), free_disk_bytes)


def cluster(
    nodes: int = 4,
    *,
    cpus: float = 16,
    memory_bytes: int | None = 64 * GIB,
    gpus: int = 1,
    gpu_memory_bytes: int | None = 40 * GIB,
    head_cpus: float = 0,
) -> Hardware:
    """A head without a GPU, and equal nodes."""
    head = Node(head_cpus, 4 * GIB)
    labels = {"ray.io/node-group": "gpu"}
    return Hardware((head, *[Node(cpus, memory_bytes, gpus, gpu_memory_bytes, "H100", labels)] * nodes))
