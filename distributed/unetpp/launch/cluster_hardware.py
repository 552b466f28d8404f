"""What machines offer: a cluster's from Ray's node table, and what that does not hold by asking them."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from unetpp.config.planning.hardware import Hardware, Node, gpu_memories
from unetpp.config.planning.placement import candidates
from unetpp.config.sections.train import ScaleConfig
from unetpp.launch.cpu_speed import ask_cpu_speed

__all__ = ["cluster_hardware", "cluster_nodes"]

logger = logging.getLogger(__name__)

_GIB = 2**30
_ASK_TIMEOUT_S = 30.0
_ACCELERATOR = "accelerator_type:"

Answer = TypeVar("Answer")


def cluster_hardware(scale: ScaleConfig) -> Hardware:
    """The nodes of the connected cluster; where workers may be put they are asked for what decides.

    That is the memory of their GPUs or, where training will be on CPUs, how fast these are in bf16.
    """
    ids = [str(node["NodeID"]) for node in _living()]
    nodes = list(cluster_nodes())
    usable = candidates(scale, Hardware(tuple(nodes)))
    # One of each kind answers for all: its GPUs are alike.
    asked = {
        _kind(node): node_id for node, node_id in zip(nodes, ids, strict=True) if node.gpus and node in usable
    }
    memories = dict(zip(asked, _gpu_memory_bytes(list(asked.values())), strict=True))
    if not asked or scale.gpu is False:
        nodes = _with_cpu_speeds(nodes, ids, usable)
    given = int(scale.node_gpu_memory_gib * _GIB) or None
    for index, node in enumerate(nodes):
        if _kind(node) in memories:
            nodes[index] = replace(node, gpu_memory_bytes=memories[_kind(node)] or given)
    unknown = sum(bool(node.gpus) and _kind(node) in memories and not node.gpu_memory_bytes for node in nodes)
    if unknown:
        logger.warning(
            "%d node(s) do not tell their GPUs' memory: it sets no limit; give scale.node_gpu_memory_gib",
            unknown,
        )
    return Hardware(tuple(nodes))


def cluster_nodes() -> tuple[Node, ...]:
    """The living nodes of the connected cluster; the memory of GPUs is not known."""
    found = []
    for node in _living():
        resources = node["Resources"]
        models = [name.removeprefix(_ACCELERATOR) for name in resources if name.startswith(_ACCELERATOR)]
        memory = resources.get("memory")
        found.append(
            Node(
                cpus=float(resources.get("CPU", 0.0)),
                memory_bytes=None if memory is None else int(memory),
                gpus=float(resources.get("GPU", 0.0)),
                accelerator_type=next(iter(models), ""),
                labels=dict(node["Labels"]),
            )
        )
    return tuple(found)


def _living() -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]


def _kind(node: Node) -> tuple[object, ...]:
    return node.accelerator_type, node.gpus, node.cpus, node.memory_bytes


def _with_cpu_speeds(nodes: Sequence[Node], ids: Sequence[str], usable: Sequence[Node]) -> list[Node]:
    """Every node that may train is asked: CPUs of equal number can be of unequal make."""
    asked = [node_id for node, node_id in zip(nodes, ids, strict=True) if node.cpus and node in usable]
    speeds = dict(zip(asked, _ask(ask_cpu_speed, asked, {}), strict=True))
    return [replace(node, cpu_speed=speeds.get(node_id)) for node, node_id in zip(nodes, ids, strict=True)]


def _gpu_memory_bytes(node_ids: Sequence[str]) -> list[int | None]:
    """Of the smallest GPU of each node; None where it does not tell, or not in time.

    The driver of the GPUs is asked, which needs none of them to be free and leaves nothing on them.
    """
    # Ray hides GPUs from tasks that reserve none; the node's own choice of devices stays.
    environment = {"env_vars": {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}}
    memories = _ask(gpu_memories, node_ids, environment)
    return [min(found, default=None) if found else None for found in memories]


def _ask(
    function: Callable[[], Answer], node_ids: Sequence[str], environment: dict[str, Any]
) -> list[Answer | None]:
    """What the function gives on each node; None where a node does not tell, or not in time."""
    ask = ray.remote(num_cpus=0, max_retries=0, runtime_env=environment)(function)
    tasks = [
        ask.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node_id, soft=False)).remote()
        for node_id in node_ids
    ]
    if not tasks:
        return []
    ready, late = ray.wait(tasks, num_returns=len(tasks), timeout=_ASK_TIMEOUT_S)
    for task in late:
        ray.cancel(task, force=True)
    return [_answer(task) if task in ready else None for task in tasks]


def _answer(task: "ray.ObjectRef[Answer]") -> Answer | None:
    try:
        found: Answer = ray.get(task)
    except ray.exceptions.RayError as error:
        logger.info("a node did not answer: %s", error)
        return None
    return found
