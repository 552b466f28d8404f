"""One local cluster of three nodes; the tests of test_local.py damage it and, at last, stop it."""

import os
from collections.abc import Iterator

import pytest

from cluster_shell import LocalCluster, Shell
from fakes import write_dataset
from unetpp.launch.local_cluster.ports import find_port


@pytest.fixture(scope="session")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    folder = tmp_path_factory.mktemp("cluster")
    environment = {
        **os.environ,
        "XDG_STATE_HOME": str(folder / "state"),
        "RAY_AUTH_TOKEN_PATH": str(folder / "token"),
    }
    for name in ("RAY_AUTH_TOKEN", "RAY_ADDRESS", "RAY_worker_niceness"):
        environment.pop(name, None)
    return Shell(folder, environment)


@pytest.fixture(scope="session")
def cluster(shell: Shell) -> Iterator[LocalCluster]:
    out = shell.folder / "out"
    write_dataset(shell.folder / "data", {"train": 200, "val": 8}, rows_per_shard=50)
    try:
        # Another test of this machine may need Ray's usual port.
        options = ("--nodes", "3", "--cpus-per-node", "1", "--port", str(find_port(7379)))
        result = shell("cluster", "up", *options, "--out", str(out))
        yield LocalCluster(shell, result, str(shell.folder / "data"), out)
    finally:
        shell("cluster", "down")
