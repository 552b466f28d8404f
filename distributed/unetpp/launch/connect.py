"""Connect to Ray: to a cluster by address, or to one started inside this process."""

import contextlib
import json
import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ray

from unetpp.compat.ray import (
    EMBEDDED_VARIABLE,
    JOB_CONFIG_VARIABLE,
    SETUP_HOOK_VARIABLE,
    few_processes,
    found_address,
    reload_auth_mode,
)
from unetpp.config.planning.hardware import available_cpus
from unetpp.core.errors import UserError
from unetpp.core.process_memory import SPARE_LASTING_OBJECTS
from unetpp.launch.priority import WORKER_PRIORITY
from unetpp.launch.submit.runtime_env import CLUSTER_ENVIRONMENT, STATE_TRACKING, build_runtime_env
from unetpp.launch.submit.upload import collect_upload
from unetpp.launch.token import ensure_token, require_token

__all__ = ["connected", "finds_cluster"]

_OBJECT_STORE_BYTES = 512 * 2**20
"""Per training worker and one for the driver: its stream holds at most half of that."""
_SHM_SHARE = 0.5
_CONNECT_TIMEOUT_S = 10.0

_EMBEDDED_ENVIRONMENT = {
    EMBEDDED_VARIABLE: "1",
    SETUP_HOOK_VARIABLE: SPARE_LASTING_OBJECTS,
    **WORKER_PRIORITY,
    **{name: value for name, value in CLUSTER_ENVIRONMENT.items() if name != STATE_TRACKING},
    # Nothing preempts the machine one sits at, and the watcher is a process.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    # There is no dashboard that would ask for them, and Train's controller, whose log this is, runs here.
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_CONTROLLER_STRUCTURED_LOGGING": "0",
}


@contextlib.contextmanager
def connected(address: str | None, *, workers: int = 1, cpus_per_worker: float = 1.0) -> Iterator[None]:
    """Connect to Ray for the duration, with token authentication; an existing connection is used as it is.

    Args:
        address: of a running cluster; None starts Ray in this process and stops it at the end.
        workers: training workers to make room for.
        cpus_per_worker: logical CPUs each of them reserves.

    Raises:
        UserError: no cluster answers at the address, there is no token for it, or Ray does not start here.
    """
    if ray.is_initialized():
        yield
        return
    if address is None:
        ensure_token()
    else:
        require_token()
    # Ray reads the mode when it is imported, which has happened by now.
    reload_auth_mode()
    with _ray_variables(CLUSTER_ENVIRONMENT if address else _EMBEDDED_ENVIRONMENT):
        if address is not None:
            _join(address)
        else:
            _start(workers, cpus_per_worker)
        try:
            yield
        finally:
            ray.shutdown()


@contextlib.contextmanager
def _ray_variables(wanted: Mapping[str, str]) -> Iterator[None]:
    """Set what is not set by the user, for as long as the connection lasts.

    A process that another one has started may have inherited the variables of that one's Ray: it joins or
    starts another Ray, which they are not for.
    """
    if os.environ.pop(EMBEDDED_VARIABLE, None) is not None:
        for name, value in _EMBEDDED_ENVIRONMENT.items():
            if os.environ.get(name) == value:
                del os.environ[name]
    added = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def finds_cluster() -> bool:
    """Whether the address `auto` means a cluster whose head answers: RAY_ADDRESS, or one on this machine."""
    try:
        _require_listener(found_address())
    except (ConnectionError, ValueError, UserError):
        return False
    return True


def _join(address: str) -> None:
    _require_listener(address)
    with tempfile.TemporaryDirectory(prefix="unetpp-join-") as folder:
        try:
            ray.init(
                address=address,
                logging_level=logging.ERROR,
                log_to_driver=False,
                runtime_env=_joining_env(Path(folder)),
            )
        except (ConnectionError, RuntimeError) as error:
            raise _no_answer(address, error) from error


def _require_listener(address: str) -> None:
    """Ray itself tries an address at which nothing listens for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        try:
            socket.create_connection((host.strip("[]"), int(port)), _CONNECT_TIMEOUT_S).close()
        except OSError as error:
            raise _no_answer(address, error) from error


def _no_answer(address: str, error: Exception) -> UserError:
    return UserError(
        f"no Ray cluster answers at scale.address={address}: {error}; "
        "check the address and RAY_AUTH_TOKEN_PATH, or give scale.address=none to run here"
    )


def _joining_env(folder: Path) -> dict[str, Any]:
    """The code for the nodes; a submitted job's is there already.

    Ray's state API, which frees what stopped trials held, asks for the address again in workers: with two
    clusters on a machine it would find both.
    """
    if JOB_CONFIG_VARIABLE in os.environ:
        given = json.loads(os.environ[JOB_CONFIG_VARIABLE])["runtime_env"].get("env_vars", {})
        wanted = {**CLUSTER_ENVIRONMENT, "RAY_ADDRESS": os.environ["RAY_ADDRESS"]}
        # Ray refuses a variable that the job has as well.
        return {"env_vars": {name: value for name, value in wanted.items() if name not in given}}
    return build_runtime_env(collect_upload(None, {}), folder, variables={})


def _start(workers: int, cpus_per_worker: float) -> None:
    # Logical CPUs are bookkeeping: the controller and the readers need room beside the workers.
    num_cpus = max(available_cpus(), int(workers * cpus_per_worker) + 2)
    store_bytes = (workers + 1) * _OBJECT_STORE_BYTES
    with contextlib.suppress(OSError):
        store_bytes = min(store_bytes, int(shutil.disk_usage("/dev/shm").total * _SHM_SHARE))
    try:
        with few_processes():
            ray.init(
                address="local",
                num_cpus=num_cpus,
                include_dashboard=False,
                object_store_memory=store_bytes,
                logging_level=logging.ERROR,
                log_to_driver=False,
            )
    except Exception as error:  # Ray gives its own processes 30 s to start and then raises just that.
        load = f"the load is {os.getloadavg()[0]:.0f} on {available_cpus()} CPUs"
        raise UserError(
            f"Ray did not start on this machine: {error} Here {load}: run the command again when other "
            "programs need less, or give scale.address=HOST:PORT of a cluster that runs"
        ) from error
