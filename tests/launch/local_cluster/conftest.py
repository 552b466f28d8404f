"""One local cluster of three nodes for the tests of a module."""

import os
from collections.abc import Iterator

import pytest

from cluster_shell import LocalCluster, Shell
from fakes import write_dataset


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    folder = tmp_path_factory.mktemp("cluster")
    environment = {
        **os.environ,
        "XDG_STATE_HOME": str(folder / "state"),
        "RAY_AUTH_TOKEN_PATH": str(folder / "token"),
    }
    for name in ("RAY_AUTH_TOKEN", "RAY_ADDRESS"):
        environment.pop(name, None)
    return Shell(folder, environment)


@pytest.fixture(scope="module")
def cluster(shell: Shell) -> Iterator[LocalCluster]:
    out = shell.folder / "out"
    write_dataset(shell.folder / "data", {"train": 200, "val": 8}, rows_per_shard=50)
    try:
        result = shell("cluster", "up", "--nodes", "3", "--cpus-per-node", "1", "--out", str(out))
        yield LocalCluster(shell, result, str(shell.folder / "data"), out)
    finally:
        shell("cluster", "down")
