"""Which variables Ray is given, and for how long."""

import os

import pytest

from unetpp.compat.ray import EMBEDDED_VARIABLE
from unetpp.core.errors import UserError
from unetpp.launch import connect
from unetpp.launch.submit.runtime_env import CLUSTER_ENVIRONMENT


@pytest.fixture
def clean(monkeypatch):
    """The environment of a shell, in which nothing of Ray is set."""
    for name in {*connect._EMBEDDED_ENVIRONMENT, *CLUSTER_ENVIRONMENT}:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize("wanted", [connect._EMBEDDED_ENVIRONMENT, CLUSTER_ENVIRONMENT])
def test_variables_last_as_long_as_the_connection(clean, wanted):
    before = dict(os.environ)
    with connect._ray_variables(wanted):
        assert {name: os.environ[name] for name in wanted} == dict(wanted)
    assert dict(os.environ) == before


def test_what_the_user_has_set_stays(clean):
    name = next(name for name in CLUSTER_ENVIRONMENT)
    clean.setenv(name, "mine")
    with connect._ray_variables(CLUSTER_ENVIRONMENT):
        assert os.environ[name] == "mine"
    assert os.environ[name] == "mine"


def test_process_started_beside_an_embedded_ray_joins_a_cluster_as_any_other(clean):
    # A test session, a notebook or a script that runs a command while its own Ray is up.
    with connect._ray_variables(connect._EMBEDDED_ENVIRONMENT):
        inherited = dict(os.environ)
    for name, value in inherited.items():
        clean.setenv(name, value)
    with connect._ray_variables(CLUSTER_ENVIRONMENT):
        assert EMBEDDED_VARIABLE not in os.environ
        assert os.environ.get("RAY_TRAIN_METRICS_ENABLED") == CLUSTER_ENVIRONMENT.get(
            "RAY_TRAIN_METRICS_ENABLED"
        )
        assert {name: os.environ[name] for name in CLUSTER_ENVIRONMENT} == dict(CLUSTER_ENVIRONMENT)


def test_ray_that_does_not_start_says_how_busy_the_machine_is(monkeypatch):
    def starts_too_slowly(**_: object) -> None:
        raise Exception("The current node timed out during startup.")

    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setattr("ray.init", starts_too_slowly)
    with (
        pytest.raises(UserError, match=r"timed out during startup\. Here the load is \d+ on \d+ CPUs"),
        connect.connected(None),
    ):
        raise AssertionError("it is not connected")
