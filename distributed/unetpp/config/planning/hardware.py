"""What machines offer to training; this machine's is found out without torch and ray."""

import math
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from unetpp.core.cpu_speed import CpuSpeed
from unetpp.core.local_folders import cache_folder, free_bytes

__all__ = [
    "RESOURCE_EPSILON",
    "Hardware",
    "Node",
    "available_cpus",
    "detect_hardware",
    "gpu_memories",
    "gpu_places",
    "this_node",
    "whole",
]

RESOURCE_EPSILON = 1e-6
"""Ray counts resources in ten-thousandths."""
_CGROUP = Path("/sys/fs/cgroup")
_NVIDIA_SMI_TIMEOUT_S = 10
_FALLBACK_MEMORY_BYTES = 4 * 2**30


@dataclass(frozen=True)
class Node:
    """One machine, or the part of it that Ray may give away."""

    cpus: float
    memory_bytes: int | None = None
    """None where it is not known."""
    gpus: float = 0.0
    gpu_memory_bytes: int | None = None
    """Of its smallest GPU; None where it is not known."""
    accelerator_type: str = ""
    """GPU model as Ray names it."""
    labels: Mapping[str, str] = field(default_factory=dict)
    cpu_speed: CpuSpeed | None = None
    """None where it was not measured."""


@dataclass(frozen=True)
class Hardware:
    """The machines that a run may use, present now."""

    nodes: tuple[Node, ...]
    free_disk_bytes: int = 0
    """Where this machine caches shards by default; 0 where unknown."""

    @property
    def cpus(self) -> float:
        return sum(node.cpus for node in self.nodes)

    @property
    def gpus(self) -> float:
        return sum(node.gpus for node in self.nodes)


def detect_hardware() -> Hardware:
    """This machine alone."""
    return Hardware((this_node(),), free_bytes(cache_folder()))


def this_node(cgroup: Path = _CGROUP) -> Node:
    """This machine, within the limits of its container and of CUDA_VISIBLE_DEVICES."""
    memories = gpu_memories()
    return Node(
        cpus=available_cpus(cgroup),
        memory_bytes=_memory_bytes(cgroup),
        gpus=len(memories),
        gpu_memory_bytes=min(memories, default=None),
    )


def available_cpus(cgroup: Path = _CGROUP) -> int:
    """Cores that this process may use, by its container's limit and its affinity."""
    affinity = getattr(os, "sched_getaffinity", None)
    cpus = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota, _, period = _read(cgroup / "cpu.max").partition(" ")
    if not quota:  # version 1 of control groups
        quota, period = (_read(cgroup / "cpu" / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    if quota.isdigit() and period.isdigit():
        cpus = min(cpus, max(1, int(quota) // int(period)))
    return cpus


def _memory_bytes(cgroup: Path) -> int:
    total = re.search(r"^MemTotal:\s+(\d+) kB", _read(Path("/proc/meminfo")), re.MULTILINE)
    limits = [int(total.group(1)) * 1024] if total else []
    limit = _read(cgroup / "memory.max") or _read(cgroup / "memory" / "memory.limit_in_bytes")
    if limit.isdigit():
        limits.append(int(limit))
    return min(limits, default=_FALLBACK_MEMORY_BYTES)


def gpu_memories() -> list[int]:
    """Bytes of each GPU that this process may see."""
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_NVIDIA_SMI_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    memories = [int(line) * 2**20 for line in done.stdout.split() if line.isdigit()]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return memories
    devices = [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    if all(name.isdigit() and int(name) < len(memories) for name in devices):
        return [memories[int(name)] for name in devices]
    # Named by UUID, which says nothing of the order.
    return [min(memories)] * len(devices) if memories else []


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def gpu_places(gpus: float, gpus_per_worker: float) -> int:
    """Workers that some GPUs hold; a part of a GPU lies on one of them."""
    if gpus_per_worker < 1:
        return whole(gpus) * whole(1 / gpus_per_worker)
    return whole(gpus / gpus_per_worker)


def whole(value: float) -> int:
    """Rounded down, as Ray counts."""
    return math.floor(value + RESOURCE_EPSILON)
