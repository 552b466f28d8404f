"""What one worker gets of the nodes it may be put on: CPUs, threads and memory."""

import math
from collections.abc import Iterable, Sequence

from unetpp.config.planning.hardware import Node, gpu_places, whole
from unetpp.config.planning.placement import worker_slots
from unetpp.config.run import RunConfig

__all__ = ["cpu_share", "worker_memory_bytes", "worker_threads"]

_STEPS = 20
"""Parts of a CPU that are given away are multiples of a twentieth."""


def cpu_share(config: RunConfig, nodes: Sequence[Node], wanted: int) -> float | None:
    """CPUs of each worker; None where no node can train.

    Each node keeps a CPU for reading. On GPUs a worker gets its GPU's part of the node, so that every GPU
    finds its CPUs; on CPUs the most with which all wanted workers have a place.

    Args:
        config: `scale.gpu` and `scale.gpus_per_worker` decided.
        nodes: where workers may be put.
        wanted: workers that should run at once.
    """
    if config.scale.gpu:
        each = float(config.scale.gpus_per_worker)
        places = {(node.cpus, gpu_places(node.gpus, each)) for node in nodes}
        if config.scale.address is None:
            places = {(cpus, min(count, wanted)) for cpus, count in places}
        return min((_rounded(_free(cpus) / count) for cpus, count in places if count and cpus), default=None)
    free = [_free(node.cpus) for node in nodes if node.cpus]
    shares = {_rounded(cpus / count) for cpus in set(free) for count in range(1, wanted + 1)}
    fitting = (share for share in shares if sum(whole(cpus / share) for cpus in free) >= wanted)
    return max(fitting, default=min(shares, default=None))


def worker_memory_bytes(config: RunConfig, nodes: Iterable[Node], trials: int) -> int | None:
    """Memory of a worker's device that is its own on the node where it has least; None where none is known.

    Args:
        config: every `auto` of `scale` decided.
        nodes: where workers may be put.
        trials: trainings at once; their workers share the memory of a node, and parts of a GPU its memory.
    """
    found = [(node, slots) for node in nodes if (slots := worker_slots(config, node))]
    if config.scale.gpu:
        part = min(float(config.scale.gpus_per_worker), 1.0)
        return min(
            (int(node.gpu_memory_bytes * part) for node, _ in found if node.gpu_memory_bytes is not None),
            default=None,
        )
    workers = trials * config.max_workers
    return min(
        (node.memory_bytes // min(slots, workers) for node, slots in found if node.memory_bytes is not None),
        default=None,
    )


def worker_threads(config: RunConfig, cores: float, sharing: int, logical_cpus: float = 0.0) -> int:
    """Threads of a worker's process: together those of a machine's workers are no more than its cores.

    On a cluster a worker has what it reserves, else its part of this machine's cores; one at least.

    Args:
        config: every `auto` of `scale` decided.
        cores: that the process may use, by its container's limit.
        sharing: workers of this machine that run at once, its own run's and other trials'.
        logical_cpus: that the machine's nodes give away, which may be more than it has cores.
    """
    threads = cores // max(sharing, 1)
    if config.scale.address is not None:
        # Others that share a cluster's node reserve the rest of it.
        threads = min(cores, float(config.scale.cpus_per_worker) * min(1.0, cores / max(logical_cpus, cores)))
    return max(1, whole(threads))


def _free(cpus: float) -> float:
    """Ray Data needs a CPU of its own: without one it waits, silently, for workers that wait for it."""
    return max(cpus - 1.0, cpus / 2)


def _rounded(share: float) -> float:
    if share >= 1:
        return float(math.floor(share))
    return max(math.floor(share * _STEPS) / _STEPS, 1 / _STEPS)
