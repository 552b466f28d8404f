"""Start, look at and stop a cluster of this machine."""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unetpp.config.planning.hardware import Node
from unetpp.launch.local_cluster.nodes import (
    HOST,
    NodePlan,
    alive_nodes,
    node_command,
    node_environment,
    node_names,
    wait_for_nodes,
)
from unetpp.launch.local_cluster.ports import find_port, is_open, require_port
from unetpp.launch.local_cluster.processes import ProcessRecord, is_running, spawn, stop
from unetpp.launch.local_cluster.services import missing_services, prometheus_config, service_commands
from unetpp.launch.local_cluster.state import (
    ClusterState,
    delete_state,
    locked,
    ports_of_others,
    read_state,
    write_state,
)
from unetpp.launch.token import ensure_token

__all__ = ["ClusterRequest", "cluster_down", "cluster_status", "cluster_up"]

_PREFERRED_PORTS = {
    "dashboard": 8265,
    "client": 10001,
    "page": 8700,
    "tensorboard": 6006,
    "optuna-dashboard": 8080,
    "prometheus": 9090,
}
_RAY_PORT = 6379
_AGENT_PORT = 52365
_GRACE_S = 5.0
_TEMP_PATH_LENGTH = 20


@dataclass(frozen=True)
class ClusterRequest:
    """What `up` is asked for."""

    name: str
    out: str
    nodes: int
    cpus_per_node: int | None
    """Logical CPUs of each node; None shares the machine's cores, two at least."""
    port: int | None
    """Of Ray's control store; None takes a free one."""


def cluster_up(
    folder: Path, request: ClusterRequest, machine: Node, say: Callable[[str], None]
) -> tuple[ClusterState, bool]:
    """Start a cluster and its pages; one that runs is left as it is.

    Args:
        folder: where the cluster is remembered.
        request: nodes and names.
        machine: this one.
        say: told what happens, line by line.

    Returns:
        The cluster, and whether it was started now.

    Raises:
        UserError: a port is taken, or another command works on the cluster.
        UnetppError: a node did not start; what was started is stopped again.
    """
    with locked(folder):
        state = read_state(folder)
        head = None if state is None else state.process(node_names(state.plan)[0])
        if state is not None and (head is None or not is_running(head)):
            say(f"the head of cluster {state.name} has ended; starting afresh")
            _stop(folder, state)
            state = None
        if state is not None:
            return _complete(folder, state, say), False
        ensure_token()
        state = _new_state(request, _choose_ports(request, ports_of_others(folder)), machine)
        for name, remedy in missing_services().items():
            say(f"{name} is not installed, going on without it ({remedy})")
        say(f"starting {request.nodes} Ray node(s) at {state.plan.address}")
        try:
            return _complete(folder, state, say), True
        except BaseException:
            _stop(folder, read_state(folder) or state)
            raise


def cluster_status(folder: Path) -> dict[str, Any]:
    """What runs.

    Returns:
        state (up, degraded or down) and processes [{name, pid, running, log}]; unless it is down, also name,
        address, out, nodes {started, alive}, urls by page, and ports {port, open} by name.

    Raises:
        UserError: the file that remembers the cluster cannot be read.
    """
    state = read_state(folder)
    if state is None:
        return {"state": "down", "processes": []}
    processes = [
        {"name": p.name, "pid": p.pid, "running": is_running(p), "log": p.log} for p in state.processes
    ]
    alive = alive_nodes(state.urls["ray"])
    whole = alive == state.plan.nodes and all(process["running"] for process in processes)
    return {
        "state": "up" if whole else "degraded",
        "name": state.name,
        "address": state.plan.address,
        "out": state.out,
        "nodes": {"started": state.plan.nodes, "alive": alive},
        "urls": state.urls,
        "ports": {name: {"port": port, "open": is_open(port)} for name, port in state.ports.items()},
        "processes": processes,
    }


def cluster_down(folder: Path) -> list[str]:
    """Stop what was started and forget it; returns names of what still ran, none if nothing did.

    Raises:
        UserError: another command works on the cluster.
    """
    if not folder.exists():
        return []
    with locked(folder):
        state = read_state(folder)
        return [] if state is None else _stop(folder, state)


def _choose_ports(request: ClusterRequest, taken: set[int]) -> dict[str, int]:
    ports = {"ray": find_port(_RAY_PORT, taken) if request.port is None else require_port(request.port)}
    wanted = _PREFERRED_PORTS | {f"agent {index}": _AGENT_PORT for index in range(request.nodes)}
    for name, preferred in wanted.items():
        if name not in missing_services():
            ports[name] = find_port(preferred, taken | set(ports.values()))
    return ports


def _new_state(request: ClusterRequest, ports: dict[str, int], machine: Node) -> ClusterState:
    cpus = request.cpus_per_node or max(2, int(machine.cpus) // request.nodes)
    # Not in the cluster's folder: paths of sockets have at most 107 characters, of which Ray takes 66.
    short = len(tempfile.gettempdir()) <= _TEMP_PATH_LENGTH
    temp_dir = tempfile.mkdtemp(prefix="unetpp-", dir=None if short else "/tmp")
    plan = NodePlan(f"{HOST}:{ports['ray']}", temp_dir, request.nodes, cpus, int(machine.gpus))
    pages = {"page": "page", "ray": "dashboard"} | {
        name: name for name in ("optuna-dashboard", "tensorboard", "prometheus") if name in ports
    }
    urls = {name: f"http://{HOST}:{ports[port]}" for name, port in pages.items()}
    return ClusterState(request.name, request.out, plan, urls, ports, ())


def _complete(folder: Path, state: ClusterState, say: Callable[[str], None]) -> ClusterState:
    """Start every process that does not run: all of them at first, later what was lost."""
    names = node_names(state.plan)
    for index, name in enumerate(names):
        node = node_command(state.plan, state.ports, index)
        environment = node_environment(state.plan, index, state.urls.get("prometheus", ""))
        state = _ensure(folder, state, name, node, environment, say)
        if index == 0:
            # The others join it, all at once.
            wait_for_nodes(state.urls["ray"], 1, state.ports["agent 0"], _processes(state, names[:1]))
    for index in range(1, len(names)):
        agent_port = state.ports[f"agent {index}"]
        wait_for_nodes(state.urls["ray"], len(names), agent_port, _processes(state, names))
    say(f"{len(names)} node(s) with {state.plan.cpus_per_node} logical CPUs each are up")
    if "prometheus" in state.ports:
        (folder / "prometheus.yml").write_text(prometheus_config(state.plan.temp_dir))
    environment = {**os.environ, "RAY_AUTH_MODE": "token"}
    for name, command in service_commands(folder, state.out, state.ports).items():
        state = _ensure(folder, state, name, command, environment, say)
    return state


def _ensure(
    folder: Path,
    state: ClusterState,
    name: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    say: Callable[[str], None],
) -> ClusterState:
    known = state.process(name)
    if known is not None:
        if is_running(known):
            return state
        say(f"{name} has ended; starting it again")
        stop([known], 0.0)  # what a killed leader left behind
    state = state.having(spawn(name, command, folder / f"{name.replace(' ', '-')}.log", environment))
    # Before anything is waited for: whatever happens next, `down` knows of it.
    write_state(folder, state)
    return state


def _processes(state: ClusterState, names: Sequence[str]) -> list[ProcessRecord]:
    return [process for process in state.processes if process.name in names]


def _stop(folder: Path, state: ClusterState) -> list[str]:
    stopped = stop(reversed(state.processes), _GRACE_S)
    shutil.rmtree(state.plan.temp_dir, ignore_errors=True)
    delete_state(folder)
    return stopped
