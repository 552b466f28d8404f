"""How many trials fit on a cluster's machines, and what is said where none does."""

from typing import Any

import pytest

from unetpp.config import Hardware, Node, RunConfig, load_config
from unetpp.config.planning.placement import concurrency, trial_resources, worker_slots
from unetpp.core.errors import ConfigError

GPU = "scale.gpu=true"
A100 = {"model": "A100"}


def hardware(*nodes: dict[str, Any]) -> Hardware:
    return Hardware(tuple(as_node(**node) for node in nodes))


def as_node(CPU: float = 0, GPU: float = 0, model: str = "", labels: dict[str, str] | None = None) -> Node:
    return Node(CPU, gpus=GPU, accelerator_type=model, labels=labels or {})


def config(*overrides: str) -> RunConfig:
    defaults = ["scale.gpu=false", "scale.gpus_per_worker=1", "scale.cpus_per_worker=1", "scale.address=auto"]
    return load_config(None, [*defaults, *overrides])


@pytest.mark.parametrize(
    ("overrides", "nodes", "expected"),
    [
        ([], [{"CPU": 2}], 2),
        (["scale.cpus_per_worker=0.5"], [{"CPU": 2}], 4),
        (["scale.workers=2"], [{"CPU": 8}], 3),  # a nested trial's driver takes a little of a CPU as well
        (["scale.workers=2"], [{"CPU": 8.04}], 4),
        (["tune.max_concurrent=2"], [{"CPU": 8}], 2),
        ([], [{"CPU": 2}, {}, {"CPU": 1}], 3),
        # Nine CPUs would be enough for two trials of 4.01 if a worker could be cut in pieces.
        (["scale.workers=2", "scale.cpus_per_worker=2"], [{"CPU": 3}] * 3, 1),
        (["scale.workers=2", "scale.cpus_per_worker=2"], [{"CPU": 3}] * 4, 2),
        # Both machines are full with workers: the driver takes the place of one of them.
        (["scale.workers=2", "scale.cpus_per_worker=2"], [{"CPU": 2}] * 3, 1),
        # An elastic trial runs with fewer workers where there is no room for all.
        (["scale.workers=(1,4)"], [{"CPU": 2.1}], 1),
        ([GPU, "scale.gpus_per_worker=0.5"], [{"CPU": 8, "GPU": 2}], 4),
        # A share lies on one GPU: two of 0.6 do not fit on one, nor three on two.
        ([GPU, "scale.gpus_per_worker=0.6"], [{"CPU": 8, "GPU": 2}], 2),
        ([GPU, "scale.gpus_per_worker=0.333"], [{"CPU": 8, "GPU": 1}], 3),
        ([GPU, "scale.gpus_per_worker=2"], [{"CPU": 8, "GPU": 3}, {"CPU": 8, "GPU": 1}], 1),
        ([GPU], [{"CPU": 64}, {"CPU": 2, "GPU": 4}], 2),
        # Only nodes with the wanted model count.
        ([GPU, "scale.accelerator_type=A100"], [{"CPU": 8, "GPU": 4}, {**A100, "CPU": 8, "GPU": 2}], 2),
    ],
)
def test_concurrency_counts_places_on_machines(overrides, nodes, expected):
    assert concurrency(config(*overrides), hardware(*nodes)) == expected


@pytest.mark.parametrize(
    ("overrides", "nodes", "expected"),
    [
        (["tune.max_concurrent=4"], [], 4),
        (["tune.max_concurrent=4"], [{"CPU": 8}], 4),
        ([], [], 1),
        ([], [{"CPU": 3}], 3),
    ],
)
def test_concurrency_of_a_cluster_that_adds_nodes_is_what_was_asked_for(overrides, nodes, expected):
    assert concurrency(config("scale.autoscaling=true", *overrides), hardware(*nodes)) == expected


def test_concurrency_on_this_machine_where_drivers_have_room_of_their_own_fills_every_place():
    assert concurrency(config("scale.workers=2", "scale.address=null"), hardware({"CPU": 2})) == 1


@pytest.mark.parametrize(
    ("overrides", "nodes", "said"),
    [
        (
            ["scale.workers=4"],
            [{"CPU": 2}],
            r"places for 4 worker\(s\) of 1 CPU and 0\.01 CPU beside them; the cluster has 2, on 1 x 2 CPU",
        ),
        (["scale.cpus_per_worker=4"], [{"CPU": 3}, {"CPU": 3}], r"has 0, on 2 x 3 CPU; lower .*per_worker=4"),
        ([GPU], [{"CPU": 8}], r"of 1 CPU and 1 GPU; the cluster has 0, on 1 x 8 CPU and 0 GPU"),
        ([], [], "on no node"),
    ],
)
def test_concurrency_cluster_smaller_than_a_trial_says_what_is_missing(overrides, nodes, said):
    with pytest.raises(ConfigError, match=said):
        concurrency(config(*overrides), hardware(*nodes))


def test_trial_resources_of_one_worker_are_its_own_and_of_many_a_driver_s():
    one = config(GPU, "scale.gpus_per_worker=0.25", "scale.cpus_per_worker=2")
    assert trial_resources(one) == {"CPU": 2, "GPU": 0.25}
    assert trial_resources(config()) == {"CPU": 1, "GPU": 0}
    many = config(GPU, "scale.workers=2")
    assert trial_resources(many)["CPU"] < 0.1
    assert "GPU" not in trial_resources(many)


def test_worker_slots_are_bound_by_the_scarcer_resource():
    assert worker_slots(config(GPU), Node(3, gpus=8)) == 3
    assert worker_slots(config(GPU), Node(8, gpus=3)) == 3


def test_trial_resources_of_a_gpu_model_ask_for_its_nodes():
    resources = trial_resources(config(GPU, "scale.accelerator_type=A100"))
    assert resources == {"CPU": 1, "GPU": 1, "accelerator_type:A100": 0.001}


def test_concurrency_without_the_gpu_model_names_it():
    with pytest.raises(ConfigError, match="A100 GPU"):
        concurrency(config(GPU, "scale.accelerator_type=A100"), hardware({"CPU": 8, "GPU": 4}))
