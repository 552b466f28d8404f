"""Which resources a trial takes and how many trials a cluster can place at once; no Ray in here."""

from collections import Counter
from collections.abc import Mapping, Sequence

from unetpp.config import AUTO, RunConfig
from unetpp.config.hardware import RESOURCE_EPSILON, gpu_places, whole
from unetpp.core.errors import ConfigError

__all__ = ["NESTED_DRIVER_CPUS", "Node", "concurrency", "trial_resources", "worker_slots"]

NESTED_DRIVER_CPUS = 0.01
"""A trial with several workers only waits for them."""
_ACCELERATOR_SHARE = 0.001
"""What Ray itself takes of a node's mark for its GPU model."""

Node = Mapping[str, float]
"""Resources of one machine, as Ray names them."""


def trial_resources(config: RunConfig) -> dict[str, float]:
    """What the process of a trial reserves; several workers reserve their own beside it.

    Args:
        config: every `auto` of `scale` decided.
    """
    if config.max_workers > 1:
        return {"CPU": NESTED_DRIVER_CPUS}
    gpus = float(config.scale.gpus_per_worker) if config.scale.gpu else 0.0
    model = _accelerator(config)
    wanted = {model: _ACCELERATOR_SHARE} if model else {}
    return {"CPU": float(config.scale.cpus_per_worker), "GPU": gpus, **wanted}


def concurrency(config: RunConfig, nodes: Sequence[Node], *, driver_cpus: float = NESTED_DRIVER_CPUS) -> int:
    """Trials that the nodes can place at once, nested workers included, within `tune.max_concurrent`.

    A worker fits on a node or not at all, so what counts is places on nodes, not the sum of their CPUs. An
    elastic trial is given room for all its workers; where there is none, one trial runs with fewer. A cluster
    that adds nodes (`scale.autoscaling`) is asked for `tune.max_concurrent` trials whatever it has now.

    Args:
        config: every `auto` of `scale` decided.
        nodes: resources of each machine.
        driver_cpus: what the process beside several workers reserves on one of these nodes.

    Raises:
        ConfigError: not even one trial fits.
    """
    fits = _placeable(config, nodes, config.max_workers, driver_cpus)
    autoscaling, limit = config.scale.autoscaling, config.tune.max_concurrent
    if not autoscaling and fits < 1 and _placeable(config, nodes, config.min_workers, driver_cpus) < 1:
        raise ConfigError(_shortage(config, nodes, driver_cpus))
    if limit == AUTO:
        return max(fits, 1)
    return int(limit) if autoscaling else max(min(fits, int(limit)), 1)


def worker_slots(config: RunConfig, node: Node) -> int:
    """Workers that fit on a node. A share of a GPU lies on one GPU."""
    slots = whole(node.get("CPU", 0.0) / float(config.scale.cpus_per_worker))
    if not config.scale.gpu:
        return slots
    if (model := _accelerator(config)) and model not in node:
        return 0
    return min(slots, gpu_places(node.get("GPU", 0.0), float(config.scale.gpus_per_worker)))


def _accelerator(config: RunConfig) -> str:
    """Ray's name for nodes with the GPU model that workers need; empty where any will do."""
    model = config.scale.accelerator_type
    return f"accelerator_type:{model}" if model else ""


def _placeable(config: RunConfig, nodes: Sequence[Node], workers: int, driver_cpus: float) -> int:
    slots = [worker_slots(config, node) for node in nodes]
    trials = sum(slots) // workers
    if workers == 1:
        return trials
    cpus = float(config.scale.cpus_per_worker)
    spare = [node.get("CPU", 0.0) - count * cpus for node, count in zip(nodes, slots, strict=True)]
    # Ray places the drivers first, wherever it likes: each may take the place of a worker.
    while trials and trials * workers + _spoilt(slots, spare, trials, driver_cpus) > sum(slots):
        trials -= 1
    return trials


def _spoilt(slots: Sequence[int], spare: Sequence[float], trials: int, driver_cpus: float) -> int:
    tight = sum(
        count > 0 and left < trials * driver_cpus - RESOURCE_EPSILON
        for count, left in zip(slots, spare, strict=True)
    )
    return min(trials, tight)


def _shortage(config: RunConfig, nodes: Sequence[Node], driver_cpus: float) -> str:
    scale, workers = config.scale, config.min_workers
    names = ["CPU", "GPU"] if scale.gpu else ["CPU"]
    gpu = f" and {scale.gpus_per_worker:g} {scale.accelerator_type} GPU".replace("  ", " ")
    each = f"{scale.cpus_per_worker:g} CPU" + (gpu if scale.gpu else "")
    driver = f" and {driver_cpus:g} CPU beside them" if workers > 1 and driver_cpus else ""
    kinds = Counter(" and ".join(f"{node.get(name, 0.0):g} {name}" for name in names) for node in nodes)
    have = ", ".join(f"{count} x {kind}" for kind, count in kinds.items()) or "no node"
    places = sum(worker_slots(config, node) for node in nodes)
    return (
        f"training needs places for {workers} worker(s) of {each}{driver}; the cluster has {places}, on "
        f"{have}; lower scale.workers={workers}, scale.cpus_per_worker={scale.cpus_per_worker:g}"
        f"{f' or scale.gpus_per_worker={scale.gpus_per_worker:g}' if scale.gpu else ''}, or add nodes"
    )
