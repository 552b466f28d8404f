"""Connect to Ray: to a cluster by address, or to one started inside this process."""

import contextlib
import logging
import os
import shutil
from collections.abc import Iterator

import ray
from ray._raylet import Config  # type: ignore[attr-defined]  # a Cython module without stubs

from unetpp.core.errors import UserError
from unetpp.launch.token import ensure_token

__all__ = ["connected"]

_OBJECT_STORE_BYTES = 512 * 2**20
"""Per training worker and one for the driver: its stream holds at most half of that."""
_SHM_SHARE = 0.5

_ENVIRONMENT = {
    # Ray Train notices the end of a run only at its next poll: 2 s by default.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.25",
    # Workers' prints would appear twice.
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "120",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
}
_CLUSTER_ENVIRONMENT = _ENVIRONMENT | {
    # The dashboard's page of training runs reads what this actor collects.
    "RAY_TRAIN_ENABLE_STATE_TRACKING": "1",
}
_EMBEDDED_ENVIRONMENT = _ENVIRONMENT | {
    # Nothing preempts the machine one sits at, and the watcher is a process.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
}


@contextlib.contextmanager
def connected(address: str | None, *, workers: int = 1, cpus_per_worker: float = 1.0) -> Iterator[None]:
    """Connect to Ray for the duration, with token authentication; an existing connection is used as it is.

    Args:
        address: of a running cluster; None starts Ray in this process and stops it at the end.
        workers: training workers to make room for.
        cpus_per_worker: logical CPUs each of them reserves.

    Raises:
        UserError: no cluster answers at the address.
    """
    if ray.is_initialized():
        yield
        return
    ensure_token()
    # Ray reads the mode when it is imported, which has happened by now; this is how it refreshes it itself.
    Config.initialize("")
    environment = _CLUSTER_ENVIRONMENT if address else _EMBEDDED_ENVIRONMENT
    for name, value in environment.items():
        os.environ.setdefault(name, value)
    if address is not None:
        _join(address, environment)
    else:
        _start(workers, cpus_per_worker)
    try:
        yield
    finally:
        ray.shutdown()


def _join(address: str, environment: dict[str, str]) -> None:
    try:
        ray.init(
            address=address,
            logging_level=logging.ERROR,
            log_to_driver=False,
            runtime_env={"env_vars": environment},
        )
    except (ConnectionError, RuntimeError) as error:
        raise UserError(
            f"no Ray cluster answers at scale.address={address}: {error}; "
            "check the address and RAY_AUTH_TOKEN_PATH, or leave it out to run here"
        ) from error


def _start(workers: int, cpus_per_worker: float) -> None:
    cores = os.cpu_count() or 1
    # Logical CPUs are bookkeeping: the controller and the readers need room beside the workers.
    num_cpus = max(cores, int(workers * cpus_per_worker) + 2)
    store_bytes = (workers + 1) * _OBJECT_STORE_BYTES
    with contextlib.suppress(OSError):
        store_bytes = min(store_bytes, int(shutil.disk_usage("/dev/shm").total * _SHM_SHARE))
    ray.init(
        address="local",
        num_cpus=num_cpus,
        include_dashboard=False,
        object_store_memory=store_bytes,
        logging_level=logging.ERROR,
        log_to_driver=False,
    )
