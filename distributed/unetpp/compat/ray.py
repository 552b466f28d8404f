"""Ray's interfaces without a promise: all that the package uses of them.

`ray._raylet.Config.initialize`: Ray reads RAY_AUTH_MODE when it is imported; its own start of a cluster
    refreshes it so, and `ray.init` does not.
`ray._private.services.canonicalize_bootstrap_address`: what `ray.init(address="auto")` would join; the public
    call joins it, and waits for minutes where nothing answers.
`ray._private.runtime_env.constants.RAY_JOB_CONFIG_JSON_ENV_VAR`: where the environment of a submitted job is,
    which `ray.init` refuses to set twice.
`ray._private.state.state.get_draining_nodes`: nodes that are about to be taken away; the public
    `ray.train.get_context().get_preemption_info` waits for all ranks at each call.
`ray._private.node.Node.start_api_server`, `start_monitor`, `start_log_monitor`: what a head starts beside its
    control store and its raylet, whatever `ray.init` is asked for.
`ray._private.ray_constants.WORKER_PROCESS_SETUP_HOOK_ENV_VAR`: names what a worker calls first. The public
    way is a runtime environment, which the workers that Ray has started in advance do not have.
`ray._private.utils.get_dashboard_dependency_error`: tells Ray whether a node's agent has the libraries of a
    dashboard; without them it starts with the few parts that the node itself needs.
`ray.PlacementGroupID`: undocumented; the public API removes a placement group only where its handle is, and
    what lives here is the hex number that a process has left behind.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import ray
import ray.util
from ray._private import services, utils
from ray._private.node import Node
from ray._private.ray_constants import WORKER_PROCESS_SETUP_HOOK_ENV_VAR as SETUP_HOOK_VARIABLE
from ray._private.runtime_env.constants import RAY_JOB_CONFIG_JSON_ENV_VAR as JOB_CONFIG_VARIABLE
from ray._private.state import state
from ray._raylet import Config  # type: ignore[attr-defined]  # a Cython module without stubs
from ray.util.placement_group import PlacementGroup

__all__ = [
    "CHECKED_VERSION",
    "EMBEDDED_VARIABLE",
    "JOB_CONFIG_VARIABLE",
    "SETUP_HOOK_VARIABLE",
    "draining_nodes",
    "few_processes",
    "found_address",
    "reload_auth_mode",
    "remove_placement_group",
]

CHECKED_VERSION = "2.60.0"
"""The release whose source says what stands above; tests/compat fails when constraints.txt pins another."""

EMBEDDED_VARIABLE = "UNETPP_EMBEDDED_RAY"
"""Set in every process of a Ray that was started inside another process for that one alone."""


@contextlib.contextmanager
def few_processes() -> Iterator[None]:
    """Inside, `ray.init` starts a head without dashboard, autoscaler and collector of logs.

    Nothing asks them where nobody else joins; they take 2.4 s of processor while the first worker starts.
    """
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in _LEFT_OUT]
    for owner, name, nothing in _LEFT_OUT:
        setattr(owner, name, nothing)
    try:
        yield
    finally:
        for owner, name, function in before:
            setattr(owner, name, function)


def _no_api_server(node: Any, **_: Any) -> None:
    node._webui_url = ""  # what Ray hands on where the dashboard did not start


def _nothing(node: Any) -> None:
    """Started is nothing."""


def _no_dashboard() -> ImportError:
    return ImportError("no dashboard is wanted")


_LEFT_OUT: tuple[tuple[Any, str, Any], ...] = (
    (Node, "start_api_server", _no_api_server),
    (Node, "start_monitor", _nothing),
    (Node, "start_log_monitor", _nothing),
    (utils, "get_dashboard_dependency_error", _no_dashboard),
)


def reload_auth_mode() -> None:
    """Read RAY_AUTH_MODE and the other settings from the environment again."""
    Config.initialize("")


def found_address() -> str:
    """The host and port that the address `auto` means: RAY_ADDRESS, or the cluster on this machine.

    Raises:
        ConnectionError, ValueError: there is none, or more than one.
    """
    return str(services.canonicalize_bootstrap_address("auto"))


def draining_nodes() -> set[str]:
    """Hex ids of the nodes that are being drained before a preemption or a downscaling."""
    return set(state.get_draining_nodes())


def remove_placement_group(group: str) -> None:
    """Free what the group with this hex id reserves, and end what runs in it; none left is no error."""
    ray.util.remove_placement_group(PlacementGroup(ray.PlacementGroupID(bytes.fromhex(group))))
