"""Which variables Ray is given, and for how long."""

import os

import pytest

from unetpp.compat.ray import EMBEDDED_VARIABLE
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
