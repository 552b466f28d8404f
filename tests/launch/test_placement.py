"""Where a run's processes are put on a cluster of unlike nodes, and what happens when one is taken away."""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from autoscaling_cluster import autoscaling_cluster
from cluster_nodes import described_nodes
from fakes import write_dataset
from unetpp.core.rundir import RunDir

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(700)]

_SMALL = ("model.depth=2", "model.width=4", "data.batch_size=4", "train.trackers=[]", "scale.gpu=false")
_DEADLINE_S = 300
Cluster = tuple[str, dict[str, Path]]
"""Address, and the temporary folder of each node by its label."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("placement")
    write_dataset(folder, {"train": 64, "val": 8}, rows_per_shard=16)
    return folder


def write_space(folder: Path) -> Path:
    space = folder / "space.py"
    space.write_text("def space(trial):\n    return {'optim.lr': trial.suggest_float('lr', 1e-3, 1e-2)}\n")
    return space


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "unetpp", *arguments]
    variables = {**os.environ, **environment}
    return subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> tuple[dict[str, Any], str]:
    output, errors = process.communicate(timeout=_DEADLINE_S)
    assert process.returncode == 0, errors
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    return result, errors


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline_s = time.monotonic() + _DEADLINE_S
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A head and nodes labelled gpu, cpu and full, each with a temporary folder of its own; one is full."""
    root = tmp_path_factory.mktemp("nodes")
    folders = {name: root / name for name in ("head", "gpu", "cpu", "full")}
    for folder in folders.values():
        folder.mkdir()
    nodes = [{"num_cpus": 2, "labels": {"kind": name}, "tmpdir": str(path)} for name, path in folders.items()]
    with full_disk(folders["full"]), described_nodes(*nodes) as address:
        yield address, folders


@contextlib.contextmanager
def full_disk(folder: Path) -> Iterator[None]:
    """A small disk without a free byte at the folder, where this user may mount one."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        with contextlib.suppress(OSError):
            (folder / "filler").write_bytes(bytes(2**16) if mounted else b"")
        yield
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def common_arguments(data: Path, address: str) -> tuple[str, ...]:
    return (f"data.uri={data}", f"scale.address={address}", "train.epochs=2", *_SMALL, "--json")


def test_labels_choose_who_trains_and_who_reads(cluster: Cluster, data: Path, tmp_path: Path) -> None:
    address, folders = cluster
    common = common_arguments(data, address)

    def cached_on() -> list[str]:
        """Nodes whose own temporary folder holds a cache: those where shards were read."""
        return [name for name, path in folders.items() if list(path.rglob("entries/*.arrow"))]

    trains, reads = "scale.labels={kind: gpu}", "data.labels={kind: cpu}"
    apart, _ = finish(start("train", f"out={tmp_path / 'apart'}", trains, reads, *common))
    assert cached_on() == ["cpu"]
    together, _ = finish(start("train", f"out={tmp_path / 'together'}", trains, *common))
    assert cached_on() == ["gpu", "cpu"]
    assert apart["metrics"]["dice"] == together["metrics"]["dice"]


def test_labels_choose_who_runs_a_trial(cluster: Cluster, data: Path, tmp_path: Path) -> None:
    address, _ = cluster
    space = write_space(tmp_path)
    places = ("scale.labels={kind: cpu}", "tune.trials=1", f"data.cache_dir={tmp_path / 'cache'}")
    out = f"out={tmp_path / 'sweep'}"
    swept, _ = finish(start("tune", str(space), out, *places, *common_arguments(data, address)))
    assert swept["trials"]["complete"] == 1


def test_labels_of_no_node_are_refused(cluster: Cluster, data: Path, tmp_path: Path) -> None:
    address, _ = cluster
    for labels, said in (
        ("scale.labels={kind: tpu}", "training needs places for 1 worker(s)"),
        (
            "data.labels={kind: tpu}",
            "must mean a node of the cluster; none of its 4 node(s) has these labels",
        ),
    ):
        process = start("train", f"out={tmp_path / labels}", labels, *common_arguments(data, address))
        _, errors = process.communicate(timeout=_DEADLINE_S)
        assert process.returncode == 2
        assert said in errors


def test_node_whose_disk_is_full_trains_without_its_cache(
    cluster: Cluster, data: Path, tmp_path: Path
) -> None:
    address, folders = cluster
    if not os.path.ismount(folders["full"]):
        pytest.skip("filling a disk needs the right to mount one")
    common = common_arguments(data, address)
    result, errors = finish(start("train", f"out={tmp_path / 'run'}", "scale.labels={kind: full}", *common))
    assert result["finished"]
    assert f"no more shards are cached in {folders['full']}" in errors
    assert "free some space or set data.cache_dir" in errors


def test_node_about_to_be_taken_away_costs_no_failure_and_no_step(
    cluster: Cluster, data: Path, tmp_path: Path
) -> None:
    """The last test of this cluster: the node is lost."""
    address, _ = cluster
    common = (
        f"data.uri={data}", f"scale.address={address}", "scale.workers=2", "scale.cpus_per_worker=2",
        "scale.max_failures=0", "train.epochs=40", *_SMALL, "--json",
    )  # fmt: skip
    whole = RunDir(str(tmp_path / "whole"))
    finish(start("train", f"out={tmp_path / 'whole'}", *common))
    moved = RunDir(str(tmp_path / "moved"))
    process = start("train", f"out={tmp_path / 'moved'}", *common)
    wait_for(lambda: len(moved.read_metrics()) >= 3, process)
    drain(address, node_of_a_worker(address))
    _, errors = finish(process)
    assert "this machine is about to be taken away; saving a checkpoint" in errors
    assert [epoch["epoch"] for epoch in moved.read_metrics()] == list(range(1, 41))
    assert last_weights(moved) == last_weights(whole)


def node_of_a_worker(address: str) -> str:
    """A node beside the head on which a worker trains: its parent is the node's raylet, which names it."""
    listed = subprocess.run(
        ["ps", "-ww", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    )
    rows = [line.split(maxsplit=2) for line in listed.stdout.splitlines() if len(line.split(maxsplit=2)) == 3]
    raylets = {
        pid: found.group(1)
        for pid, _, args in rows
        if f":{address.rpartition(':')[2]}" in args
        and not re.search(r'"kind": *"head"', args)
        and (found := re.search(r"--node_id=(\w+)", args))
    }
    return next(raylets[parent] for _, parent, args in rows if "RayTrainWorker" in args and parent in raylets)


def drain(address: str, node: str) -> None:
    """What a cloud's notice of taking a spot machine back becomes in Ray."""
    reason = (
        "--reason",
        "DRAIN_NODE_REASON_PREEMPTION",
        "--reason-message",
        "spot",
        "--deadline-remaining-seconds",
        "6",
    )
    command = [
        sys.executable,
        "-m",
        "ray.scripts.scripts",
        "drain-node",
        "--address",
        address,
        "--node-id",
        node,
    ]
    environment = {**os.environ, "RAY_AUTH_MODE": "token"}
    done = subprocess.run([*command, *reason], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def last_weights(run: RunDir) -> bytes:
    found = run.checkpoints.latest()
    assert found is not None
    weights: bytes = found[1]["model.safetensors"]
    return weights


def test_sweep_waits_for_the_nodes_that_an_autoscaler_adds(data: Path, tmp_path: Path) -> None:
    space = write_space(tmp_path)
    with autoscaling_cluster(tmp_path, node_cpus=2, max_nodes=2) as address:
        common = (
            f"data.uri={data}", f"scale.address={address}", "scale.cpus_per_worker=2",
            "train.epochs=2", "tune.trials=2", "tune.max_concurrent=2", "tune.scheduler=none", *_SMALL,
            "--json",
        )  # fmt: skip
        refused = start("tune", str(space), f"out={tmp_path / 'no'}", *common)
        _, errors = refused.communicate(timeout=_DEADLINE_S)
        assert refused.returncode == 2
        assert "training needs places for 1 worker(s) of 2 CPU" in errors
        waiting = ("tune", str(space), f"out={tmp_path / 'sweep'}", "scale.autoscaling=true")
        # As in a job, whose code is there: these nodes share a folder and would unpack over each other.
        in_job = {"RAY_JOB_CONFIG_JSON_ENV_VAR": '{"runtime_env": {}}', "RAY_ADDRESS": address}
        result, errors = finish(start(*waiting, *common, **in_job))
        assert "0 of 2 workers have a place now; the others wait for nodes" in errors
        assert result["trials"]["complete"] == 2
