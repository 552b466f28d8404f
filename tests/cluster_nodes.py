"""A Ray cluster of several nodes on this machine, in processes of its own, protected by a token.

    python cluster_nodes.py CPUS [CPUS ...]

starts one node for each number, prints the address and runs until its input is closed.
"""

import contextlib
import subprocess
import sys
from collections.abc import Iterator

__all__ = ["ray_nodes"]


@contextlib.contextmanager
def ray_nodes(*cpus: int) -> Iterator[str]:
    """The address of a cluster whose nodes have these many CPUs."""
    command = [sys.executable, __file__, *map(str, cpus)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
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


def _main(cpus: list[int]) -> None:
    from unetpp.launch.token import ensure_token

    ensure_token()  # before Ray is imported
    from ray.cluster_utils import Cluster

    arguments = {"include_dashboard": False, "object_store_memory": 150 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": cpus[0], **arguments})
    for count in cpus[1:]:
        cluster.add_node(num_cpus=count, object_store_memory=arguments["object_store_memory"])
    sys.stdout.write(f"address {cluster.address}\n")
    sys.stdout.flush()
    sys.stdin.read()
    cluster.shutdown()


if __name__ == "__main__":
    _main([int(text) for text in sys.argv[1:]])
