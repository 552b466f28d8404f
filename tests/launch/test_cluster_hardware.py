"""A real cluster whose head offers nothing: plans are made for its nodes."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster_nodes import described_nodes
from fakes import write_dataset

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(400)]


def unetpp(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "unetpp", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Two nodes with GPUs that Ray is told of and no driver knows, and a third kind that only reads."""
    nodes = [{"num_cpus": 4, "num_gpus": 2, "labels": {"kind": "gpu"}}] * 2
    with described_nodes({"num_cpus": 0}, *nodes, {"num_cpus": 1, "labels": {"kind": "cpu"}}) as found:
        yield found


def test_plan_from_a_head_that_offers_nothing_is_that_of_the_nodes(address: str) -> None:
    done = unetpp("plan", f"scale.address={address}", "--dataset", "5000x256x256x3", "--json")
    assert done.returncode == 0, done.stderr
    train, tune = json.loads(done.stdout.splitlines()[-1])["plans"]
    assert "2 node(s) do not tell their GPUs' memory: it sets no limit" in done.stderr
    assert (train["device"], train["precision"], train["batch_size"]) == ("1 GPU", "bf16", 16)
    assert (tune["concurrent"], tune["cpus_per_worker"], tune["fits"]) == (4, 1, "no limit known")


def test_plan_with_labels_is_that_of_the_nodes_they_mean(address: str) -> None:
    labels = ("scale.labels={kind: cpu}", "--dataset", "5000x256x256x3", "--json")
    done = unetpp("plan", f"scale.address={address}", *labels)
    assert done.returncode == 0, done.stderr
    train, tune = json.loads(done.stdout.splitlines()[-1])["plans"]
    assert (train["device"], tune["concurrent"]) == ("CPU", 2)


def test_sweep_says_how_long_it_takes_where_its_trials_run(address: str, tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", {"train": 16, "val": 4})
    (tmp_path / "space.py").write_text(
        "def space(trial):\n    return {'optim.lr': trial.suggest_float('optim.lr', 1e-3, 1e-2)}\n"
    )
    fields = (
        "scale.labels={kind: cpu}", "scale.gpu=false", "tune.trials=1", "train.epochs=1", "model.depth=2",
        "model.width=4", "train.trackers=[]", f"data.cache_dir={tmp_path / 'cache'}",
    )  # fmt: skip
    places = (f"data.uri={tmp_path / 'data'}", f"out={tmp_path / 'sweep'}", f"scale.address={address}")
    done = unetpp("tune", str(tmp_path / "space.py"), *places, *fields, "--json")
    assert done.returncode == 0, done.stderr
    assert "s per epoch" in done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["trials"]["complete"] == 1


def test_train_where_no_cluster_answers_says_so_each_time_and_claims_nothing(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", {"train": 8, "val": 4})
    arguments = (f"data.uri={tmp_path / 'data'}", f"out={tmp_path / 'run'}", "scale.address=127.0.0.1:9")
    answers = [unetpp("train", *arguments) for _ in range(2)]
    assert [answer.returncode for answer in answers] == [2, 2]
    assert all("no Ray cluster answers at scale.address=127.0.0.1:9" in answer.stderr for answer in answers)
    assert not (tmp_path / "run").exists()


def test_train_without_room_claims_nothing(address: str, tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", {"train": 40, "val": 4})
    fields = (
        f"data.uri={tmp_path / 'data'}",
        f"scale.address={address}",
        "scale.gpu=true",
        "scale.workers=9",
    )
    answers = [unetpp("train", *fields, f"out={tmp_path / 'run'}") for _ in range(2)]
    assert [answer.returncode for answer in answers] == [2, 2]
    assert all("needs places for 9 worker(s)" in answer.stderr for answer in answers)
    assert not (tmp_path / "run" / "config.yaml").exists()
