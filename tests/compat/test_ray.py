"""Ray's private interfaces still do what the package uses them for."""

import os
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def compat():
    from unetpp.compat import ray  # takes seconds to import

    return ray


def test_found_address_is_that_of_the_environment(compat, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "10.1.2.3:6379")
    assert compat.found_address() == "10.1.2.3:6379"


def test_a_job_config_variable_is_the_one_that_ray_reads(compat):
    assert compat.JOB_CONFIG_VARIABLE == "RAY_JOB_CONFIG_JSON_ENV_VAR"


_SET_AFTER_THE_IMPORT = """
import os, ray
from ray._raylet import get_authentication_mode
os.environ["RAY_AUTH_MODE"] = "token"
from unetpp.compat.ray import reload_auth_mode
before = get_authentication_mode()
reload_auth_mode()
print(before, get_authentication_mode())
"""


@pytest.mark.slow
def test_mode_set_after_the_import_counts_once_reloaded():
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled"}
    command = [sys.executable, "-c", _SET_AFTER_THE_IMPORT]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    before, after = done.stdout.split()
    assert before != after


@pytest.mark.ray
def test_no_node_of_a_quiet_cluster_is_draining(compat, ray_cluster):
    assert compat.draining_nodes() == set()


@pytest.mark.ray
def test_a_removed_group_gives_back_what_it_reserves(compat, ray_cluster):
    import ray

    group = ray.util.placement_group([{"CPU": 1}])
    ray.get(group.ready())
    compat.remove_placement_group(group.id.hex())
    table = ray.util.placement_group_table(group)
    assert table["state"] == "REMOVED"
    compat.remove_placement_group(group.id.hex())  # one that is gone is passed over
