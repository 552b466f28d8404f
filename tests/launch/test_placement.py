"""Where a run's processes are put on a cluster of unlike nodes, and what happens when one is taken away."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autoscaling_cluster import autoscaling_cluster
from cluster_nodes import described_nodes
from fakes import write_dataset
from unetpp.core.rundir import RunDir

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(500)]

_SMALL = ("model.depth=2", "model.width=4", "data.batch_size=4", "train.trackers=[]", "scale.gpu=false")
_DEADLINE_S = 240


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("placement")
    write_dataset(folder, {"train": 64, "val": 8}, rows_per_shard=16)
    return folder


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "unetpp", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


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


def test_labels_choose_who_trains_and_who_reads(data: Path, tmp_path: Path) -> None:
    folders = {name: tmp_path / name for name in ("head", "gpu", "cpu")}
    for folder in folders.values():
        folder.mkdir()
    nodes = [{"num_cpus": 2, "labels": {"kind": name}, "tmpdir": str(path)} for name, path in folders.items()]

    def cached_on() -> list[str]:
        """Nodes whose own temporary folder holds a cache: those where shards were read."""
        return [name for name, path in folders.items() if list(path.rglob("entries/*.arrow"))]

    with described_nodes(*nodes) as address:
        common = (f"data.uri={data}", f"scale.address={address}", "train.epochs=2", *_SMALL, "--json")
        trains, reads = "scale.labels={kind: gpu}", "data.labels={kind: cpu}"
        apart, _ = finish(start("train", f"out={tmp_path / 'apart'}", trains, reads, *common))
        assert cached_on() == ["cpu"]
        together, _ = finish(start("train", f"out={tmp_path / 'together'}", trains, *common))
        assert cached_on() == ["gpu", "cpu"]
        assert apart["metrics"]["dice"] == together["metrics"]["dice"]

        space = tmp_path / "space.py"
        space.write_text(
            'def space(trial):\n    return {"optim.lr": trial.suggest_float("lr", 1e-3, 1e-2)}\n'
        )
        places = ("scale.labels={kind: cpu}", f"data.cache_dir={tmp_path / 'swept'}", "tune.trials=1")
        swept, _ = finish(start("tune", str(space), f"out={tmp_path / 'sweep'}", *places, *common))
        assert swept["trials"]["complete"] == 1

        nowhere = start("train", f"out={tmp_path / 'no'}", "scale.labels={kind: tpu}", *common)
        _, errors = nowhere.communicate(timeout=_DEADLINE_S)
        assert nowhere.returncode == 2
        assert "training needs places for 1 worker(s)" in errors
        assert "no node" in errors


def test_node_about_to_be_taken_away_costs_no_failure_and_no_step(data: Path, tmp_path: Path) -> None:
    with described_nodes({"num_cpus": 1}, *[{"num_cpus": 2}] * 3) as address:
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
    """Node on which a worker of the run trains: its parent is the node's raylet, which names it."""
    listed = subprocess.run(
        ["ps", "-ww", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    )
    rows = [line.split(maxsplit=2) for line in listed.stdout.splitlines() if len(line.split(maxsplit=2)) == 3]
    raylets = {
        pid: found.group(1)
        for pid, _, args in rows
        if f":{address.rpartition(':')[2]}" in args and (found := re.search(r"--node_id=(\w+)", args))
    }
    return next(raylets[parent] for _, parent, args in rows if "RayTrainWorker" in args and parent in raylets)


def drain(address: str, node: str) -> None:
    """What a cloud's notice of taking a spot machine back becomes in Ray."""
    wish = (
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
    done = subprocess.run([*command, *wish], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def last_weights(run: RunDir) -> bytes:
    found = run.checkpoints.latest()
    assert found is not None
    weights: bytes = found[1]["model.safetensors"]
    return weights


def test_sweep_waits_for_the_nodes_that_an_autoscaler_adds(data: Path, tmp_path: Path) -> None:
    space = tmp_path / "space.py"
    space.write_text("def space(trial):\n    return {'optim.lr': trial.suggest_float('lr', 1e-3, 1e-2)}\n")
    with autoscaling_cluster(tmp_path, node_cpus=2, max_nodes=2) as address:
        common = (
            f"data.uri={data}", f"scale.address={address}", "scale.cpus_per_worker=2",
            "train.epochs=2", "tune.trials=2", "tune.max_concurrent=2", "tune.scheduler=none", *_SMALL, "--json",
        )  # fmt: skip
        refused = start("tune", str(space), f"out={tmp_path / 'no'}", *common)
        _, errors = refused.communicate(timeout=_DEADLINE_S)
        assert refused.returncode == 2
        assert "training needs places for 1 worker(s) of 2 CPU" in errors
        waiting = ("tune", str(space), f"out={tmp_path / 'sweep'}", "scale.autoscaling=true")
        result, errors = finish(start(*waiting, *common))
        assert "0 of 2 workers have a place now; the others wait for nodes" in errors
        assert result["trials"]["complete"] == 2
