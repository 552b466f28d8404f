"""What a machine offers, found out without torch and ray."""

import math
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from unetpp.core.cache_folder import cache_folder, free_bytes

__all__ = ["RESOURCE_EPSILON", "Hardware", "detect_hardware", "gpu_places", "whole"]

RESOURCE_EPSILON = 1e-6
"""Ray counts resources in ten-thousandths."""
_CGROUP = Path("/sys/fs/cgroup")
_NVIDIA_SMI_TIMEOUT_S = 10
_FALLBACK_MEMORY_BYTES = 4 * 2**30


@dataclass(frozen=True)
class Hardware:
    """Resources of all machines a run may use, or of this one."""

    cpus: int
    memory_bytes: int
    gpus: int
    gpu_memory_bytes: int
    """Memory of the smallest GPU; 0 without one."""
    free_disk_bytes: int = 0
    """Where shards are cached by default; 0 where unknown."""

    def gpu_part_bytes(self, gpus_per_worker: float) -> int:
        """GPU memory that a worker may use: its part of one device, or all of the smallest."""
        return int(self.gpu_memory_bytes * min(gpus_per_worker, 1.0))


def detect_hardware(cgroup: Path = _CGROUP) -> Hardware:
    """This machine, within the limits of its container and of CUDA_VISIBLE_DEVICES."""
    memories = _gpu_memories()
    return Hardware(
        cpus=_cpus(cgroup),
        memory_bytes=_memory_bytes(cgroup),
        gpus=len(memories),
        gpu_memory_bytes=min(memories, default=0),
        free_disk_bytes=free_bytes(cache_folder()),
    )


def _cpus(cgroup: Path) -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    cpus = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota, _, period = _read(cgroup / "cpu.max").partition(" ")
    if quota.isdigit() and period.isdigit():
        cpus = min(cpus, max(1, int(quota) // int(period)))
    return cpus


def _memory_bytes(cgroup: Path) -> int:
    total = re.search(r"^MemTotal:\s+(\d+) kB", _read(Path("/proc/meminfo")), re.MULTILINE)
    limits = [int(total.group(1)) * 1024] if total else []
    limit = _read(cgroup / "memory.max")
    if limit.isdigit():
        limits.append(int(limit))
    return min(limits, default=_FALLBACK_MEMORY_BYTES)


def _gpu_memories() -> list[int]:
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
    return memories[: len([device for device in visible.split(",") if device.strip() not in ("", "-1")])]


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
