"""What a job started as `scale.address=auto` goes on where no cluster is."""

import socket

import pytest

from fakes import write_dataset
from sweeps import start_sweep
from unetpp.api.machines import is_cluster_gone, resumed_here
from unetpp.api.tuning import load_sweep_request
from unetpp.config import load_config
from unetpp.core.rundir import RunDir
from unetpp.launch.connect import finds_cluster
from unetpp.training.run.prepare import resumed_config
from untrained_run import write_untrained_run


@pytest.fixture
def no_cluster(monkeypatch):
    """Whatever else runs on this machine."""
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")


def test_auto_means_a_cluster_only_where_its_head_answers(monkeypatch, no_cluster):
    assert not finds_cluster()
    with socket.create_server(("", 0)) as server:  # Ray makes the machine's own address of a local one
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{server.getsockname()[1]}")
        assert finds_cluster()


def test_sweep_of_a_lost_cluster_goes_on_in_this_process_and_says_so(tmp_path, no_cluster, caplog):
    write_dataset(tmp_path / "data", {"train": 8, "val": 4})
    uri = start_sweep(tmp_path, tmp_path / "data", "scale.address=auto").setup.sweep_uri
    space = str(tmp_path / "space.py")
    config, _ = load_sweep_request(space, None, [f"out={uri}"], resume=True)
    assert config.scale.address is None
    assert "no Ray cluster is here" in caplog.text
    asked, _ = load_sweep_request(space, None, [f"out={uri}", "scale.address=auto"], resume=True)
    assert asked.scale.address == "auto"


def test_run_of_a_lost_cluster_goes_on_in_this_process(tmp_path, no_cluster):
    run = RunDir(write_untrained_run(tmp_path))
    kept = run.read_config()
    run.change_config({**kept, "scale": {**kept["scale"], "address": "auto"}}, reopen=False)
    config = load_config(None, [f"out={run.uri}"])
    assert is_cluster_gone(resumed_config(config))
    here = resumed_config(resumed_here(config))
    assert here.scale.address is None
    assert here.model == resumed_config(config).model
