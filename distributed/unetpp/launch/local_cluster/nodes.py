"""Ray nodes as separate processes of this machine."""

import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unetpp.core.errors import UnetppError, UserError
from unetpp.core.waiting_threads import PASSIVE_WAITING
from unetpp.launch.dashboard_api import NODES, get_json
from unetpp.launch.local_cluster.ports import is_open
from unetpp.launch.local_cluster.processes import ProcessRecord, is_running, log_tail
from unetpp.launch.priority import WORKER_PRIORITY
from unetpp.launch.token import require_token

__all__ = [
    "HOST",
    "NodePlan",
    "alive_nodes",
    "node_command",
    "node_environment",
    "node_names",
    "wait_for_nodes",
]

HOST = "127.0.0.1"
_START_TIMEOUT_S = 90
_POLL_S = 0.25
_REQUEST_TIMEOUT_S = 5
_OBJECT_STORE_BYTES = 2**30
_SHM_SHARE = 0.5
"""Of the shared memory of the machine, for the object stores of all nodes together."""
_DEFAULT_ENVIRONMENT = {
    **WORKER_PRIORITY,
    **PASSIVE_WAITING,
    # A node is lost when five checks in a row fail, which Ray has 3 s apart. One that was killed refuses each
    # at once; one that is slow has 10 s for its answer all the same.
    "RAY_health_check_period_ms": "500",
    # A worker for each CPU that the first job would find: none of them has its code, and it takes none.
    "RAY_prestart_worker_first_driver": "0",
}


@dataclass(frozen=True)
class NodePlan:
    """What every node of a cluster is started with."""

    address: str
    """host:port, the value for scale.address."""
    temp_dir: str
    """Where the head keeps its sockets and logs; every other node has a folder of its own in it."""
    nodes: int
    cpus_per_node: int
    gpus: int
    """Of the machine; they are dealt out to the nodes."""

    @property
    def store_bytes(self) -> int:
        """Size of each node's object store."""
        try:
            limit = int(shutil.disk_usage("/dev/shm").total * _SHM_SHARE) // self.nodes
        except OSError:
            return _OBJECT_STORE_BYTES
        return min(_OBJECT_STORE_BYTES, limit)


def node_names(plan: NodePlan) -> list[str]:
    """Names of the nodes' processes, the head first."""
    return ["head", *(f"node {index}" for index in range(1, plan.nodes))]


def node_command(plan: NodePlan, ports: Mapping[str, int], index: int) -> list[str]:
    """Command line of a node; the first one also runs the cluster's control store and dashboard.

    Args:
        plan: of the cluster.
        ports: `ray`, `dashboard`, `client` and `agent <index>`.
        index: 0 is the head.
    """
    own = _member_options(plan, index) if index else _head_options(plan, ports)
    return [
        *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"),
        f"--num-cpus={plan.cpus_per_node}",
        f"--object-store-memory={plan.store_bytes}",
        f"--dashboard-agent-listen-port={ports[f'agent {index}']}",
        # The system chooses: ranges of two clusters on one machine would overlap.
        "--min-worker-port=0",
        "--max-worker-port=0",
        *own,
    ]


def node_environment(plan: NodePlan, index: int, prometheus_url: str) -> dict[str, str]:
    """Environment of a node's processes, token authentication included; its share of the GPUs is visible."""
    environment = {
        **_DEFAULT_ENVIRONMENT,
        **os.environ,
        "RAY_AUTH_MODE": "token",
        "RAY_PROMETHEUS_HOST": prometheus_url,
        # Several nodes on one host are no mistake here.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1",
    }
    environment.pop("RAY_ADDRESS", None)
    if plan.gpus:
        share = range(index, plan.gpus, plan.nodes)
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, share))
    return environment


def wait_for_nodes(
    dashboard_url: str, count: int, agent_port: int, processes: Sequence[ProcessRecord]
) -> None:
    """Return when the cluster's dashboard lists `count` living nodes and the agent of one of them answers.

    Args:
        dashboard_url: of the cluster.
        count: a killed node counts for some seconds more.
        agent_port: of a node that was started last.
        processes: of all of them.

    Raises:
        UnetppError: one of the processes ended, or they took longer than 90 s.
    """
    deadline_s = time.monotonic() + _START_TIMEOUT_S
    found = 0
    while time.monotonic() < deadline_s:
        for process in processes:
            if not is_running(process):
                raise UnetppError(f"{process.name} ended while starting:\n{log_tail(process)}")
        found = alive_nodes(dashboard_url)
        if found >= count and is_open(agent_port):
            return
        time.sleep(_POLL_S)
    raise UnetppError(
        f"{count} nodes must answer within {_START_TIMEOUT_S} s; {found} did; "
        f"see {', '.join(process.log for process in processes)}"
    )


def alive_nodes(dashboard_url: str) -> int:
    """Living nodes as the cluster's dashboard counts them; 0 where it does not answer."""
    token = require_token()
    try:
        answer = get_json(dashboard_url, NODES, token, timeout_s=_REQUEST_TIMEOUT_S)
        summary: list[dict[str, Any]] = answer["data"]["summary"]
    except (UserError, KeyError, TypeError):
        return 0
    return sum(node.get("raylet", {}).get("state") == "ALIVE" for node in summary)


def _member_options(plan: NodePlan, index: int) -> list[str]:
    # Unpacking a job's code, a node removes what lies in its place: it would take the other nodes' away.
    return [f"--address={plan.address}", f"--temp-dir={plan.temp_dir}/{index}"]


def _head_options(plan: NodePlan, ports: Mapping[str, int]) -> list[str]:
    return [
        "--head",
        f"--port={ports['ray']}",
        f"--dashboard-host={HOST}",
        f"--dashboard-port={ports['dashboard']}",
        f"--ray-client-server-port={ports['client']}",
        f"--temp-dir={plan.temp_dir}",
    ]
