"""Training and a sweep across hosts with their own addresses, from a bucket on a third one."""

import json
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster_nodes import NODE_SETTINGS
from fakes import write_dataset
from namespaces import Host, has_namespaces, network

pytestmark = [
    pytest.mark.ray,
    pytest.mark.s3,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not has_namespaces(), reason="network namespaces need root and the command ip"),
]

_BIN = Path(sys.executable).parent
_FIXED_PORTS = {
    "node-manager-port": 6801,
    "object-manager-port": 6802,
    "runtime-env-agent-port": 6803,
    "dashboard-agent-grpc-port": 6804,
    "dashboard-agent-listen-port": 52365,
    "metrics-export-port": 8080,
    "min-worker-port": 10100,
    "max-worker-port": 10199,
}
"""Every port that other hosts connect to, as the cluster's README narrows them for a firewall."""
_HEAD_PORTS = {"port": 6379, "ray-client-server-port": 10001}
_HEAD_METRICS = {44217, 44227}
_START_TIMEOUT_S = 90.0
_LOSS_TIMEOUT_S = 200.0
_ELASTIC_EPOCHS = 12


@dataclass(frozen=True)
class Cluster:
    head: Host
    node: Host
    environment: dict[str, str]
    bucket: Path
    """The bucket's files, as its server keeps them."""

    def unetpp(self, *arguments: str) -> dict:
        """Run a verb on the head's host."""
        command = [sys.executable, "-m", "unetpp", *arguments, "--json"]
        output = self.head.run(command, self.environment, timeout_s=300)
        return json.loads(output.splitlines()[-1])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    """Two Ray nodes with one CPU each, and a bucket with a dataset on a third host."""
    store_folder = tmp_path_factory.mktemp("store")
    write_dataset(store_folder / "bucket" / "data", {"train": 16, "val": 4}, rows_per_shard=4)
    # Not pytest's folder: the paths of Ray's sockets must stay below 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="upp-"))
    token = folder / "token"
    token.touch(0o600)
    token.write_text(secrets.token_hex(32))
    with network(["head", "node", "store"]) as (head, node, store):
        environment = {
            **os.environ,
            **NODE_SETTINGS,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "AWS_ENDPOINT_URL": f"http://{store.address}:9000",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            # The hostname, by which gloo finds its address, is that of the machine around the namespaces.
            "GLOO_SOCKET_IFNAME": "eth0",
        }
        serve = [str(_BIN / "rclone"), "serve", "s3", str(store_folder), "--addr", f"{store.address}:9000"]
        store.start(
            [*serve, "--auth-key", "key,secret", "--config", os.devnull], environment, f"{folder}/s3.log"
        )
        head.start(
            _ray_start(head, _HEAD_PORTS, "--head", f"--temp-dir={folder}/ray"),
            environment,
            f"{folder}/h.log",
        )
        _wait_for(head, 6379)
        node.start(_ray_start(node, {}, f"--address={head.address}:6379"), environment, f"{folder}/n.log")
        # The agent, which listens last: a node that listens itself may not have joined yet.
        _wait_for(node, _FIXED_PORTS["dashboard-agent-listen-port"])
        yield Cluster(head, node, environment, store_folder / "bucket")
    shutil.rmtree(folder, ignore_errors=True)


def test_hosts_only_documented_ports_can_be_reached(cluster: Cluster):
    workers = set(range(_FIXED_PORTS["min-worker-port"], _FIXED_PORTS["max-worker-port"] + 1))
    node_ports = set(_FIXED_PORTS.values()) | workers
    assert cluster.node.listening() <= node_ports
    assert cluster.head.listening() <= node_ports | _HEAD_METRICS | set(_HEAD_PORTS.values())


@pytest.mark.nightly
def test_hosts_train_with_a_worker_on_each(cluster: Cluster):
    result = cluster.unetpp(
        "train", "data.uri=s3://bucket/data", "out=s3://bucket/runs/first",
        f"scale.address={cluster.head.address}:6379", "scale.workers=2", "scale.cpus_per_worker=1",
        "data.batch_size=4", "model.depth=2", "model.width=4", "train.epochs=2",
    )  # fmt: skip
    # A node has one CPU, so that two workers lie on two hosts.
    assert result["epochs"] == 2
    lines = (cluster.bucket / "runs" / "first" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["workers"] for line in lines] == [2, 2]


@pytest.mark.nightly
def test_hosts_sweep_with_a_trial_on_each(cluster: Cluster, tmp_path: Path):
    result = cluster.unetpp(
        "tune", str(_smoke(tmp_path)), "data.uri=s3://bucket/data", "out=s3://bucket/sweeps/first",
        f"tune.storage=sqlite:///{tmp_path}/study.db", f"scale.address={cluster.head.address}:6379",
        "scale.cpus_per_worker=1", "data.batch_size=4", "model.depth=2", "model.width=4", "train.epochs=2",
        "tune.trials=3", "tune.scheduler=none",
    )  # fmt: skip
    assert result["trials"]["complete"] == 3


def test_hosts_elastic_run_goes_on_with_fewer_workers_when_a_host_is_lost(cluster: Cluster, tmp_path: Path):
    """The last test: the host does not come back."""
    out = "runs/elastic"
    command = [
        sys.executable, "-m", "unetpp", "train", "data.uri=s3://bucket/data", f"out=s3://bucket/{out}",
        f"scale.address={cluster.head.address}:6379", "scale.workers=[1,2]", "scale.cpus_per_worker=1",
        "data.batch_size=4", "model.depth=2", "model.width=4", f"train.epochs={_ELASTIC_EPOCHS}",
    ]  # fmt: skip
    log = tmp_path / "train.log"
    process = cluster.head.start(command, cluster.environment, str(log))
    metrics = cluster.bucket / out / "metrics.jsonl"
    deadline_s = time.monotonic() + _START_TIMEOUT_S
    while not metrics.exists() or len(metrics.read_text().splitlines()) < 2:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline_s, log.read_text()
        time.sleep(0.1)
    cluster.node.kill()
    assert process.wait(_LOSS_TIMEOUT_S) == 0, log.read_text()[-3000:]
    epochs = [json.loads(line) for line in metrics.read_text().splitlines()]
    assert [epoch["epoch"] for epoch in epochs] == list(range(1, _ELASTIC_EPOCHS + 1))
    assert [epoch["step"] for epoch in epochs] == [4 * number for number in range(1, _ELASTIC_EPOCHS + 1)]
    assert (epochs[0]["workers"], epochs[-1]["workers"]) == (2, 1)
    assert "training was interrupted" in log.read_text()


def _smoke(folder: Path) -> Path:
    path = folder / "space.py"
    path.write_text(
        "def space(trial):\n    return {'optim.lr': trial.suggest_float('optim.lr', 1e-3, 1e-2)}\n"
    )
    return path


def _ray_start(host: Host, ports: dict[str, int], *options: str) -> list[str]:
    numbers = [f"--{name}={port}" for name, port in (_FIXED_PORTS | ports).items()]
    return [
        *(
            str(_BIN / "ray"),
            "start",
            "--block",
            "--disable-usage-stats",
            f"--node-ip-address={host.address}",
        ),
        *("--num-cpus=1", f"--object-store-memory={200 * 2**20}", *numbers, *options),
    ]


def _wait_for(host: Host, port: int) -> None:
    deadline_s = time.monotonic() + _START_TIMEOUT_S
    while port not in host.listening():
        assert time.monotonic() < deadline_s, f"{host.name} does not listen on port {port}"
        time.sleep(0.3)
