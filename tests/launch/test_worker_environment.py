"""Workers of a Ray that the package starts: their priority, and how their threads share the machine."""

import gc
import os

import pytest
import ray

from unetpp.config.planning.hardware import available_cpus

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]


def test_worker_of_an_embedded_ray_is_as_nice_as_its_driver() -> None:
    @ray.remote(num_cpus=0)
    def niceness() -> int:
        return os.nice(0)

    assert ray.get(niceness.remote()) == os.nice(0)


def test_threads_of_a_worker_of_an_embedded_ray_wait_without_spinning() -> None:
    @ray.remote(num_cpus=0)
    def policy() -> str | None:
        return os.environ.get("OMP_WAIT_POLICY")

    assert ray.get(policy.remote()) == "passive"


def test_a_worker_counts_the_cpus_that_all_nodes_of_its_machine_give_away() -> None:
    @ray.remote(num_cpus=0)
    def threads(reserved: int) -> int:
        import torch

        from unetpp.config import load_config
        from unetpp.training.ray.threads import set_threads

        config = load_config(None, ["scale.address=auto", f"scale.cpus_per_worker={reserved}"])
        set_threads(config, 1)
        return torch.get_num_threads()

    logical = int(ray.cluster_resources()["CPU"])
    assert ray.get(threads.remote(logical)) == available_cpus()
    assert ray.get(threads.remote(1)) == 1


def test_a_worker_seldom_looks_through_all_that_it_has_imported() -> None:
    @ray.remote(num_cpus=0)
    def threshold() -> int:
        return gc.get_threshold()[2]

    assert ray.get(threshold.remote()) > 10  # that of Python
