import json

import pytest

from unetpp.cli.main import run

_IMAGES = ("--dataset", "2000x256x256x3")


def plans(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict]:
    assert run(["plan", *_IMAGES, *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])["plans"]


def test_plan_of_this_machine_has_a_training_and_a_sweep(capsys):
    train, tune = plans(capsys, "scale.gpu=false")
    assert (train["verb"], train["concurrent"], train["device"]) == ("train", 1, "CPU")
    assert (tune["verb"], tune["precision"]) == ("tune", "fp32")
    assert tune["concurrent"] >= 1


def test_plan_of_described_machines_has_a_row_for_each_number_of_workers(capsys):
    nodes = ("--node", "cpus=0", "--node", "2 x cpus=16 gpus=2 gpu_memory_gib=24 zone=a")
    rows = plans(capsys, *nodes, "--workers", "1", "--workers", "2", "scale.labels={zone: a}")
    assert [(row["verb"], row["workers"], row["concurrent"]) for row in rows] == [
        ("train", 1, 1), ("tune", 1, 4), ("train", 2, 1), ("tune", 2, 2),
    ]  # fmt: skip
    assert {row["memory_gib"] for row in rows} == {24.0}


def test_plan_that_does_not_fit_says_so(capsys):
    node = ("--node", "cpus=8 gpus=1 gpu_memory_gib=4")
    train, _ = plans(capsys, *node, "data.batch_size=64")
    assert "lower data.batch_size" in train["fits"]


def test_plan_prints_what_auto_decides_for_a_training_as_a_command_takes_it(capsys):
    node = ("--node", "cpus=16 memory_gib=64", "scale.cpus_per_worker=1")
    assert run(["plan", *_IMAGES, *node, "scale.gpu=false"]) == 0
    printed = capsys.readouterr().err
    assert "auto  train.sync_bn = false " in printed
    (train, tune) = plans(capsys, *node, "scale.gpu=false")
    assert train["memory_gib"] != tune["memory_gib"]
    assert f"{train['memory_gib']:.2f} GiB a worker" in printed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "a plan needs a dataset"),
        (["--dataset", "20"], "--dataset must read ROWSxHEIGHTxWIDTHxCHANNELS; got '20'"),
        ([*_IMAGES, "--node", "8 cpus"], "--node must read"),
        ([*_IMAGES, "--node", "cpus=many"], "--node must read"),
        ([*_IMAGES, "--node", "cpus=2", "scale.gpu=true"], "needs places for 1 worker(s) of 1 CPU and 1 GPU"),
    ],
)
def test_plan_mistake_exits_with_two_and_says_what(capsys, arguments, said):
    assert run(["plan", *arguments]) == 2
    assert said in capsys.readouterr().err
