"""The process group of a run's workers, for Ray Train; unlike Ray's own it needs no torch in the driver."""

import os
import socket
from dataclasses import asdict, dataclass
from typing import Any

import ray
import ray.util
from ray.train.backend import Backend, BackendConfig

__all__ = ["ProcessGroup"]


@dataclass
class ProcessGroup(BackendConfig):  # type: ignore[misc]  # ray is not typed
    """What `torch.distributed` is initialised with."""

    backend: str
    """gloo or nccl."""
    timeout_s: float
    """Of every collective."""

    @property
    def backend_cls(self) -> type[Backend]:
        return _Setup

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class _Setup(Backend):  # type: ignore[misc]  # ray is not typed
    share_cuda_visible_devices = True

    def on_start(self, worker_group: Any, backend_config: ProcessGroup) -> None:
        """Rank 0 names a port of its machine, then all join at once; the group ends with its processes."""
        url = worker_group.execute_single(0, _free_url)
        size = len(worker_group)
        ray.get(
            [
                worker_group.execute_single_async(rank, _join, url, rank, size, backend_config)
                for rank in range(size)
            ]
        )


def _free_url() -> str:
    host = ray.util.get_node_ip_address()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind(("", 0))
        port = probe.getsockname()[1]
    return f"tcp://[{host}]:{port}" if family == socket.AF_INET6 else f"tcp://{host}:{port}"


def _join(url: str, rank: int, size: int, group: ProcessGroup) -> None:
    """In a worker."""
    from datetime import timedelta

    import torch.distributed as dist

    # A collective that fails or hangs on one rank ends all of them.
    os.environ.setdefault("TORCH_NCCL_ASYNC_ERROR_HANDLING", "1")
    timeout = timedelta(seconds=group.timeout_s)
    dist.init_process_group(group.backend, init_method=url, rank=rank, world_size=size, timeout=timeout)
