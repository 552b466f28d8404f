"""A Ray head whose own autoscaler adds nodes on this machine, with Ray's provider for trying that out."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster_nodes import NODE_SETTINGS
from unetpp.launch.local_cluster.ports import find_port

__all__ = ["autoscaling_cluster"]

_START_S = 60
_PORT = 6379
"""Where nodes of the provider look for their head, whatever it is told."""


@contextlib.contextmanager
def autoscaling_cluster(folder: Path, *, node_cpus: int, max_nodes: int) -> Iterator[str]:
    """The address of a head without CPUs that starts up to `max_nodes` nodes as they are asked for."""
    from unetpp.launch.token import ensure_token

    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", _PORT)) == 0:
            pytest.skip(f"another Ray head has port {_PORT}")
    ensure_token()
    config = folder / "autoscaler.yaml"
    config.write_text(json.dumps(_config(node_cpus, max_nodes)))
    command = [
        sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--num-cpus=0",
        f"--port={_PORT}", f"--ray-client-server-port={find_port(21001)}", "--include-dashboard=false",
        "--disable-usage-stats",
        f"--autoscaling-config={config}", f"--object-store-memory={150 * 2**20}",
    ]  # fmt: skip
    environment = {**os.environ, **NODE_SETTINGS, "RAY_AUTH_MODE": "token", "RAY_FAKE_CLUSTER": "1"}
    with (folder / "head.log").open("w") as log:
        head = subprocess.Popen(
            command,
            env={**environment, "AUTOSCALER_UPDATE_INTERVAL_S": "1", "RAY_TMPDIR": "/tmp"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _wait(head, folder / "head.log")
        yield f"127.0.0.1:{_PORT}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(head.pid, signal.SIGKILL)
        head.wait()
        subprocess.run(["pkill", "-9", "-s", str(head.pid)], check=False)


def _config(node_cpus: int, max_nodes: int) -> dict[str, object]:
    nodes = {"resources": {"CPU": node_cpus}, "node_config": {}, "min_workers": 0, "max_workers": max_nodes}
    head = {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0}
    return {
        "cluster_name": "unetpp-test",
        "max_workers": max_nodes,
        "idle_timeout_minutes": 5,
        "provider": {"type": "fake_multinode"},
        "available_node_types": {"cpu": nodes, "ray.head.default": head},
        "head_node_type": "ray.head.default",
        "upscaling_speed": 1.0,
        "auth": {},
        "docker": {},
        "initialization_commands": [],
        "setup_commands": [],
        "head_setup_commands": [],
        "worker_setup_commands": [],
        "head_start_ray_commands": [],
        "worker_start_ray_commands": [],
        "file_mounts": {},
        "cluster_synced_files": [],
        "file_mounts_sync_continuously": False,
        "rsync_exclude": [],
        "rsync_filter": [],
    }


def _wait(head: subprocess.Popen[bytes], log: Path) -> None:
    deadline_s = time.monotonic() + _START_S
    while time.monotonic() < deadline_s:
        assert head.poll() is None, log.read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", _PORT), 1):
            return
        time.sleep(0.1)
    raise AssertionError(log.read_text())
