"""Workers of a Ray that the package starts have the priority of whoever starts it."""

import os

import pytest
import ray

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]


def test_worker_of_an_embedded_ray_is_as_nice_as_its_driver() -> None:
    @ray.remote(num_cpus=0)
    def niceness() -> int:
        return os.nice(0)

    assert ray.get(niceness.remote()) == os.nice(0)
