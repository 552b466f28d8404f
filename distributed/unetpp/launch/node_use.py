"""Utilisation of a cluster's nodes right now, from the API of Ray's dashboard."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unetpp.launch.dashboard_api import NODES, get_json
from unetpp.launch.token import require_token

__all__ = ["GpuUse", "NodeUse", "node_use"]

_TIMEOUT_S = 5
_MIB = 2**20


@dataclass(frozen=True)
class GpuUse:
    name: str
    busy: float | None
    """Share of time with work."""
    used_bytes: int
    bytes: int


@dataclass(frozen=True)
class NodeUse:
    name: str
    state: str
    """ALIVE or DEAD."""
    cpu: float | None
    """Share of all cores."""
    memory_used_bytes: int
    memory_bytes: int
    gpus: tuple[GpuUse, ...]
    resources_used: str
    """CPUs and GPUs reserved through Ray, such as `2.0/4.0 CPU, 0.0/1.0 GPU`."""


def node_use(dashboard_url: str) -> list[NodeUse]:
    """Nodes of the cluster behind the URL of Ray's dashboard, the head first.

    Raises:
        UserError: it does not answer, or refuses the token.
    """
    summary = get_json(dashboard_url, NODES, require_token(), timeout_s=_TIMEOUT_S)["data"]
    used: Mapping[str, Any] = summary.get("nodeLogicalResources", {})
    nodes = sorted(summary["summary"], key=lambda node: not node.get("raylet", {}).get("isHeadNode", False))
    return [_node(node, str(used.get(node.get("raylet", {}).get("nodeId"), ""))) for node in nodes]


def _node(node: Mapping[str, Any], resources: str) -> NodeUse:
    raylet: Mapping[str, Any] = node.get("raylet", {})
    if raylet.get("state") != "ALIVE":
        node = {"hostname": node.get("hostname"), "raylet": raylet}  # its last figures are no news
    total, available = ([*(node.get("mem") or []), 0, 0])[:2]
    cpu = node.get("cpu")
    name = f"{'head ' if raylet.get('isHeadNode') else ''}{str(raylet.get('nodeId', ''))[:8]}"
    return NodeUse(
        name=f"{name} {node.get('hostname') or raylet.get('nodeManagerHostname', '')}".strip(),
        state=str(raylet.get("state", "unknown")),
        cpu=None if cpu is None else float(cpu) / 100,
        memory_used_bytes=int(total - available),
        memory_bytes=int(total),
        gpus=tuple(_gpu(gpu) for gpu in node.get("gpus") or []),
        resources_used=_processors(resources),
    )


def _processors(resources: str) -> str:
    lines = [line.partition("(")[0].strip() for line in resources.splitlines()]
    return ", ".join(line for line in lines if line.endswith(("CPU", "GPU")))


def _gpu(gpu: Mapping[str, Any]) -> GpuUse:
    busy = gpu.get("utilizationGpu")
    return GpuUse(
        name=str(gpu.get("name", "GPU")),
        busy=None if busy is None else float(busy) / 100,
        used_bytes=int(gpu.get("memoryUsed") or 0) * _MIB,
        bytes=int(gpu.get("memoryTotal") or 0) * _MIB,
    )
