"""A Ray cluster of several nodes on this machine, in processes of its own, protected by a token.

    python cluster_nodes.py '[{"num_cpus": 2, "labels": {"kind": "gpu"}, "tmpdir": "/tmp/one"}, ...]'

starts one node for each object, prints the address and runs until its input is closed.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

__all__ = ["NODE_SETTINGS", "described_nodes", "ray_nodes"]

NODE_SETTINGS = {
    # Five checks in a row fail until a killed node is a lost one; 3 s apart they take 15 s.
    "RAY_health_check_period_ms": "500",
    # No worker in advance for each CPU: none would have a job's code.
    "RAY_prestart_worker_first_driver": "0",
}
"""For the environment of every node of a cluster that tests start."""


@contextlib.contextmanager
def ray_nodes(*cpus: int) -> Iterator[str]:
    """The address of a cluster whose nodes have these many CPUs."""
    with described_nodes(*({"num_cpus": count} for count in cpus)) as address:
        yield address


@contextlib.contextmanager
def described_nodes(*nodes: dict[str, Any]) -> Iterator[str]:
    """The address of a cluster of nodes with `num_cpus`, `labels` and the `tmpdir` of all their processes."""
    command = [sys.executable, __file__, json.dumps(nodes)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | NODE_SETTINGS
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        address = ""
        for line in process.stdout:
            if line.startswith("address "):
                address = line.split()[1]
                break
        assert address, "the cluster did not start"
        yield address
        process.stdin.close()


def _main(nodes: list[dict[str, Any]]) -> None:
    from unetpp.launch.token import ensure_token

    ensure_token()  # before Ray is imported
    from ray.cluster_utils import Cluster

    from unetpp.compat.ray import few_processes

    cluster, root = Cluster(), tempfile.mkdtemp(prefix="nodes-", dir="/tmp")
    for index, node in enumerate(nodes):
        # The node's processes inherit it; where Ray itself keeps its files is another variable.
        os.environ["TMPDIR"] = node.pop("tmpdir", "/tmp")
        os.environ["RAY_TMPDIR"] = "/tmp"
        head = {} if index else {"include_dashboard": False}
        # A node that unpacks a driver's code deletes what lies there: other nodes must not work in it.
        options = {"object_store_memory": 150 * 2**20, "temp_dir": f"{root}/{index}", **node, **head}
        with few_processes():  # nobody asks these nodes for a page or a log
            cluster.add_node(**options)
    sys.stdout.write(f"address {cluster.address}\n")
    sys.stdout.flush()
    sys.stdin.read()
    # At once: a node that may end by itself takes 3 s, and nobody has anything left there.
    for node in cluster.list_all_nodes()[::-1]:
        cluster.remove_node(node, allow_graceful=False)
    shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    _main(json.loads(sys.argv[1]))
