"""What is planned for a cluster of unlike nodes, who runs where, and what if a node is taken away."""

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

from cluster_nodes import described_nodes
from fakes import write_dataset
from unetpp.core.rundir import RunDir
from verb_process import run_verbs

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(700)]

_SMALL = ("model.depth=2", "model.width=4", "data.batch_size=4", "train.trackers=[]", "scale.gpu=false")
_DEADLINE_S = 300
_EPOCHS = 24
"""More than are trained until a node's notice is heard, 2 s at most after it is given."""
_DRAIN = """
import sys
from ray.scripts.scripts import main
sys.argv[1:] = sys.stdin.read().split()
main()
"""
Cluster = tuple[str, dict[str, Path]]
"""Address, and the temporary folder of each node by its label."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("placement")
    write_dataset(folder, {"train": 64, "val": 8}, rows_per_shard=16)
    return folder


def write_space(folder: Path) -> Path:
    """A search space of one value, that of the runs beside the sweep."""
    space = folder / "space.py"
    space.write_text("def space(trial):\n    return {'optim.lr': trial.suggest_float('lr', 0.01, 0.01)}\n")
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
    """A head without CPUs and nodes labelled gpu, cpu and full, each with a temporary folder of its own.

    Ray is told of GPUs that no driver knows; the disk of the last is full.
    """
    root = tmp_path_factory.mktemp("nodes")
    folders = {name: root / name for name in ("head", "gpu", "cpu", "full")}
    for folder in folders.values():
        folder.mkdir()
    nodes = [
        {"num_cpus": 0 if name == "head" else 2, "labels": {"kind": name}, "tmpdir": str(path)}
        | ({"num_gpus": 2} if name == "gpu" else {})
        for name, path in folders.items()
    ]
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


@pytest.fixture(scope="module")
def answers(
    cluster: Cluster, data: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, "subprocess.CompletedProcess[str]"]:
    """What verbs said on this cluster, by what was asked of them."""
    address, _ = cluster
    folder = tmp_path_factory.mktemp("answers")
    here = (
        f"data.uri={data}",
        f"scale.address={address}",
        "train.epochs=1",
        "optim.lr=0.01",
        *_SMALL,
        "--json",
    )
    planned = (f"scale.address={address}", "--dataset", "5000x256x256x3", "--json")
    verbs = {
        "plan": ("plan", *planned),
        "plan for kind cpu": ("plan", "scale.labels={kind: cpu}", *planned),
        "train on no node": ("train", f"out={folder / 'no'}", "scale.labels={kind: tpu}", *here),
        "read on no node": ("train", f"out={folder / 'no'}", "data.labels={kind: tpu}", *here),
        "9 GPUs": (
            "train",
            f"out={folder / 'no'}",
            *here,
            "scale.gpu=true",
            "scale.workers=9",
            "data.batch_size=9",
        ),
        "no head": ("train", f"out={folder / 'no'}", *here, "scale.address=127.0.0.1:9"),
        "train on full": ("train", f"out={folder / 'full'}", "scale.labels={kind: full}", *here),
        "tune on gpu, read on cpu": (
            *("tune", str(write_space(folder)), f"out={folder / 'sweep'}", "tune.trials=1"),
            *("scale.labels={kind: gpu}", "data.labels={kind: cpu}", *here),
        ),
    }
    said = dict(zip(verbs, run_verbs(*verbs.values()), strict=True))
    assert not (folder / "no").exists()
    return said


def result_of(answer: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    assert answer.returncode == 0, answer.stderr
    result: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return result


def test_plan_from_a_head_that_offers_nothing_is_that_of_the_nodes(answers) -> None:
    train, tune = result_of(answers["plan"])["plans"]
    assert "1 node(s) do not tell their GPUs' memory: it sets no limit" in answers["plan"].stderr
    assert (train["device"], train["precision"], train["batch_size"]) == ("1 GPU", "bf16", 16)
    assert (tune["concurrent"], tune["cpus_per_worker"], tune["fits"]) == (2, 0.5, "no limit known")


def test_plan_with_labels_is_that_of_the_nodes_they_mean(answers) -> None:
    train, tune = result_of(answers["plan for kind cpu"])["plans"]
    assert (train["device"], tune["concurrent"]) == ("CPU", 2)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("train on no node", "training needs places for 1 worker(s)"),
        ("read on no node", "must mean a node of the cluster; none of its 4 node(s) has these labels"),
        ("9 GPUs", "needs places for 9 worker(s)"),
        ("no head", "no Ray cluster answers at scale.address=127.0.0.1:9"),
    ],
)
def test_train_without_a_place_is_refused_and_claims_nothing(answers, asked: str, said: str) -> None:
    assert answers[asked].returncode == 2
    assert said in answers[asked].stderr


def test_labels_choose_who_trains_and_who_reads(cluster: Cluster, answers) -> None:
    assert result_of(answers["tune on gpu, read on cpu"])["trials"]["complete"] == 1
    # Nodes whose own temporary folder holds a cache: those where shards were read.
    assert [name for name, path in cluster[1].items() if list(path.rglob("entries/*.arrow"))] == ["cpu"]


def test_node_whose_disk_is_full_trains_without_its_cache(cluster: Cluster, answers) -> None:
    full = cluster[1]["full"]
    if not os.path.ismount(full):
        pytest.skip("filling a disk needs the right to mount one")
    result, said = result_of(answers["train on full"]), answers["train on full"].stderr
    assert f"no more shards are cached in {full}" in said
    assert "free some space or set data.cache_dir" in said
    # Neither where it reads nor what it keeps changes what a run learns.
    best = result_of(answers["tune on gpu, read on cpu"])["best"]
    assert result["metrics"]["levels"][str(best["level"])]["dice"] == pytest.approx(best["value"], rel=5e-3)


def test_sweep_says_how_long_it_takes_where_its_trials_run(answers) -> None:
    assert "s per epoch" in answers["tune on gpu, read on cpu"].stderr


@pytest.mark.parametrize("compared", [False, pytest.param(True, marks=pytest.mark.nightly)])
def test_node_about_to_be_taken_away_costs_no_failure_and_no_step(
    cluster: Cluster, data: Path, tmp_path: Path, compared: bool
) -> None:
    """The last test of this cluster: the node is lost."""
    address, _ = cluster
    common = (
        f"data.uri={data}", f"scale.address={address}", "scale.workers=2", "scale.cpus_per_worker=2",
        "scale.max_failures=0", f"train.epochs={_EPOCHS}", *_SMALL, "--json",
    )  # fmt: skip
    moved = RunDir(str(tmp_path / "moved"))
    if compared:
        finish(start("train", f"out={tmp_path / 'whole'}", *common))
    notice = start_notice()
    process = start("train", f"out={moved.uri}", *common)
    wait_for(lambda: len(moved.read_metrics()) >= 3, process)
    drain(notice, address, node_of_a_worker(address))
    _, errors = finish(process)
    assert "this machine is about to be taken away; saving a checkpoint" in errors
    epochs = moved.read_metrics()
    assert [(epoch["epoch"], epoch["step"]) for epoch in epochs] == [
        (n, 16 * n) for n in range(1, _EPOCHS + 1)
    ]
    assert {epoch["images"] for epoch in epochs} == {64}
    if compared:
        assert last_weights(moved) == last_weights(RunDir(str(tmp_path / "whole")))


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


def start_notice() -> subprocess.Popen[str]:
    """The command that `drain` gives; importing it takes as long as many epochs."""
    command = [sys.executable, "-c", _DRAIN]
    environment = {**os.environ, "RAY_AUTH_MODE": "token"}
    return subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def drain(notice: subprocess.Popen[str], address: str, node: str) -> None:
    """What a cloud's notice of taking a spot machine back becomes in Ray."""
    reason = "--reason DRAIN_NODE_REASON_PREEMPTION --reason-message spot --deadline-remaining-seconds 6"
    _, errors = notice.communicate(f"drain-node --address {address} --node-id {node} {reason}")
    assert notice.returncode == 0, errors


def last_weights(run: RunDir) -> bytes:
    found = run.checkpoints.latest()
    assert found is not None
    weights: bytes = found[1]["model.safetensors"]
    return weights
