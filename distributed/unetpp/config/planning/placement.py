"""Which nodes workers may use, what a training takes of them and how many fit at once; no Ray in here."""

from collections import Counter
from collections.abc import Sequence

from unetpp.config.planning.hardware import RESOURCE_EPSILON, Hardware, Node, gpu_places, whole
from unetpp.config.planning.node_labels import selects
from unetpp.config.run import RunConfig
from unetpp.config.sections.base import AUTO
from unetpp.config.sections.train import ScaleConfig
from unetpp.core.errors import ConfigError

__all__ = [
    "NESTED_DRIVER_CPUS",
    "candidates",
    "concurrency",
    "require_places",
    "require_readers",
    "trial_resources",
    "trials_at_once",
    "waiting",
    "worker_slots",
]

NESTED_DRIVER_CPUS = 0.01
"""A trial with several workers only waits for them."""
_ACCELERATOR_SHARE = 0.001
"""What Ray itself takes of a node's mark for its GPU model."""
_GIB = 2**30


def trial_resources(config: RunConfig) -> dict[str, float]:
    """What the process of a trial reserves; several workers reserve their own beside it.

    Args:
        config: every `auto` of `scale` decided.
    """
    if config.max_workers > 1:
        return {"CPU": NESTED_DRIVER_CPUS}
    gpus = float(config.scale.gpus_per_worker) if config.scale.gpu else 0.0
    model = config.scale.accelerator_type
    wanted = {f"accelerator_type:{model}": _ACCELERATOR_SHARE} if model else {}
    return {"CPU": float(config.scale.cpus_per_worker), "GPU": gpus, **wanted}


def candidates(scale: ScaleConfig, hardware: Hardware) -> list[Node]:
    """Nodes that workers may be put on: those that are there, and those that autoscaling is said to add."""
    here = [node for node in hardware.nodes if _is_usable(scale, node)]
    if not (scale.autoscaling and (scale.node_cpus or scale.node_gpus)):
        return here
    coming = Node(
        cpus=scale.node_cpus or 1.0,
        memory_bytes=_bytes(scale.node_memory_gib),
        gpus=scale.node_gpus,
        gpu_memory_bytes=_bytes(scale.node_gpu_memory_gib),
        accelerator_type=scale.accelerator_type,
        labels=scale.labels,
    )
    # As many as could be asked for: one for each worker.
    workers = scale.workers if isinstance(scale.workers, int) else scale.workers[1]
    return [*here, *[coming] * workers]


def trials_at_once(config: RunConfig, nodes: Sequence[Node], *, workers: int | None = None) -> int:
    """Trainings of a sweep that the nodes can place at once, within the sweep's own limits; 0 is none.

    A worker fits on a node or not at all, so what counts is places on nodes, not the sum of their CPUs.

    Args:
        config: every `auto` of `scale` decided.
        nodes: machines that are there.
        workers: of each training; all of an elastic one's by default.
    """
    # The Ray that starts in this process has logical CPUs to spare for what drives the workers.
    driver_cpus = 0.0 if config.scale.address is None else NESTED_DRIVER_CPUS
    fits = _placeable(config, nodes, workers or config.max_workers, driver_cpus)
    limit = config.tune.max_concurrent
    return fits if limit == AUTO else min(fits, int(limit))


def concurrency(config: RunConfig, hardware: Hardware) -> int:
    """How many trials a sweep starts at once.

    An elastic trial is given room for all its workers; where there is none, one trial runs with fewer. A
    cluster that adds nodes is asked for `tune.max_concurrent` trials whatever it has now.

    Raises:
        ConfigError: not even one trial fits.
    """
    scale, limit = config.scale, config.tune.max_concurrent
    fits = trials_at_once(config, hardware.nodes)
    if scale.autoscaling:
        return max(fits, 1) if limit == AUTO else int(limit)
    if fits < 1 and trials_at_once(config, hardware.nodes, workers=config.min_workers) < 1:
        raise ConfigError(_shortage(config, hardware.nodes, NESTED_DRIVER_CPUS if scale.address else 0.0))
    return max(fits, 1)


def require_places(config: RunConfig, hardware: Hardware) -> None:
    """Refuse a training for which the cluster has no room, whatever else runs on it.

    Raises:
        ConfigError: its workers do not fit, and no nodes will come.
    """
    if not config.scale.autoscaling and _placeable(config, hardware.nodes, config.min_workers, 0.0) < 1:
        raise ConfigError(_shortage(config, hardware.nodes, 0.0))


def require_readers(config: RunConfig, hardware: Hardware) -> None:
    """Refuse `data.labels` that no node has.

    Raises:
        ConfigError: no node may read the data, and none will come.
    """
    selector = config.data.labels
    if not config.scale.autoscaling and not any(selects(selector, node.labels) for node in hardware.nodes):
        raise ConfigError(
            f"data.labels={selector} must mean a node of the cluster; none of its "
            f"{len(hardware.nodes)} node(s) has these labels; correct them, or leave them out"
        )


def waiting(config: RunConfig, hardware: Hardware, trainings: int) -> str:
    """What is to be said where workers wait for nodes that autoscaling adds; empty where all have a place."""
    wanted = trainings * config.min_workers
    places = sum(worker_slots(config, node) for node in hardware.nodes)
    return (
        f"{places} of {wanted} workers have a place now; the others wait for nodes" if places < wanted else ""
    )


def worker_slots(config: RunConfig, node: Node) -> int:
    """Workers that fit on a node. A share of a GPU lies on one GPU."""
    if not _is_usable(config.scale, node):
        return 0
    slots = whole(node.cpus / float(config.scale.cpus_per_worker))
    if not config.scale.gpu:
        return slots
    return min(slots, gpu_places(node.gpus, float(config.scale.gpus_per_worker)))


def _is_usable(scale: ScaleConfig, node: Node) -> bool:
    model = scale.accelerator_type
    return selects(scale.labels, node.labels) and model in ("", node.accelerator_type)


def _bytes(gib: float) -> int | None:
    return int(gib * _GIB) if gib else None


def _placeable(config: RunConfig, nodes: Sequence[Node], workers: int, driver_cpus: float) -> int:
    slots = [worker_slots(config, node) for node in nodes]
    trials = sum(slots) // workers
    if workers == 1:
        return trials
    cpus = float(config.scale.cpus_per_worker)
    spare = [node.cpus - count * cpus for node, count in zip(nodes, slots, strict=True)]
    # Ray places the drivers first, wherever it likes: each may take the place of a worker.
    while trials and trials * workers + _lost_to_drivers(slots, spare, trials, driver_cpus) > sum(slots):
        trials -= 1
    return trials


def _lost_to_drivers(slots: Sequence[int], spare: Sequence[float], trials: int, driver_cpus: float) -> int:
    tight = sum(
        count > 0 and left < trials * driver_cpus - RESOURCE_EPSILON
        for count, left in zip(slots, spare, strict=True)
    )
    return min(trials, tight)


def _shortage(config: RunConfig, nodes: Sequence[Node], driver_cpus: float) -> str:
    scale, workers = config.scale, config.min_workers
    gpu = f" and {scale.gpus_per_worker:g} {scale.accelerator_type} GPU".replace("  ", " ")
    each = f"{scale.cpus_per_worker:g} CPU" + (gpu if scale.gpu else "")
    driver = f" and {driver_cpus:g} CPU beside them" if workers > 1 and driver_cpus else ""
    usable = [node for node in nodes if _is_usable(scale, node)]
    kinds = Counter(
        f"{node.cpus:g} CPU" + (f" and {node.gpus:g} GPU" if scale.gpu else "") for node in usable
    )
    have = ", ".join(f"{count} x {kind}" for kind, count in kinds.items()) or "no node"
    places = sum(worker_slots(config, node) for node in nodes)
    return (
        f"training needs places for {workers} worker(s) of {each}{driver}; the cluster has {places}, on "
        f"{have}; lower scale.workers={workers}, scale.cpus_per_worker={scale.cpus_per_worker:g}"
        f"{f' or scale.gpus_per_worker={scale.gpus_per_worker:g}' if scale.gpu else ''}, or add nodes"
    )
