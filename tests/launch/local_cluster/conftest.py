"""One local cluster of three nodes; the tests of test_local.py damage it and, at last, stop it."""

import contextlib
import os
import signal
import urllib.error
from collections.abc import Iterator

import pytest
import yaml

from cluster_shell import LocalCluster, Shell, get, wait_until
from fakes import write_dataset
from unetpp.launch.local_cluster.ports import find_port


@pytest.fixture(scope="session")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    folder = tmp_path_factory.mktemp("cluster")
    environment = {
        **os.environ,
        "XDG_STATE_HOME": str(folder / "state"),
        "RAY_AUTH_TOKEN_PATH": str(folder / "token"),
        # What is measured can be read two seconds later, as often as it is asked for; by default after 10 s.
        "RAY_metrics_report_interval_ms": "2000",
    }
    for name in ("RAY_AUTH_TOKEN", "RAY_ADDRESS", "RAY_worker_niceness"):
        environment.pop(name, None)
    return Shell(folder, environment)


@pytest.fixture(scope="session")
def cluster(shell: Shell) -> Iterator[LocalCluster]:
    out = shell.folder / "out"
    write_dataset(shell.folder / "data", {"train": 120, "val": 8}, rows_per_shard=30)
    try:
        # Another test of this machine may need Ray's usual port.
        options = ("--nodes", "3", "--cpus-per-node", "1", "--port", str(find_port(7379)))
        result = shell("cluster", "up", *options, "--out", str(out))
        cluster = LocalCluster(shell, result, str(shell.folder / "data"), out)
        if "prometheus" in result["pids"]:
            read_often(cluster)
        yield cluster
    finally:
        shell("cluster", "down")


def read_often(cluster: LocalCluster) -> None:
    """Have Prometheus read metrics each 2 s: by its shipped configuration it does each 10 s."""
    (path,) = cluster.shell.folder.rglob("prometheus.yml")
    config = yaml.safe_load(path.read_text())
    config["global"] = {"scrape_interval": "2s", "evaluation_interval": "2s"}
    for job in config["scrape_configs"]:
        for discovery in job["file_sd_configs"]:
            discovery["refresh_interval"] = "2s"
    path.write_text(yaml.safe_dump(config))
    # Before it answers, the signal would end it.
    wait_until(lambda: is_ready(cluster.url("prometheus")), "an answer of Prometheus")
    os.kill(cluster.result["pids"]["prometheus"], signal.SIGHUP)


def is_ready(url: str) -> bool:
    with contextlib.suppress(urllib.error.URLError):
        return get(f"{url}/-/ready")[0] == 200
    return False
