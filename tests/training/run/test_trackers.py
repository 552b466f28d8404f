"""A run has one run in each tracker, however often it is interrupted, and leaves none open."""

import threading

import pytest

from fake_trackers import Server, install
from fakes import LocalSession, start_run, tiny_config, train
from unetpp.training.run import hooks
from unetpp.training.run import rank as job


@pytest.fixture(params=["mlflow", "wandb"])
def server(monkeypatch, request) -> Server:
    found = install(monkeypatch, request.param)
    found.name = request.param
    return found


@pytest.fixture
def new_job(tmp_path, dataset, server):
    def make(name: str = "run"):
        uri, manifest = dataset
        config = tiny_config(uri, train={"trackers": (server.name,)})
        return start_run(config.model_copy(update={"out": str(tmp_path / name)}), manifest)

    return make


class Interrupted(LocalSession):
    """Ends as a trial does that is told to stop, or fails, once an epoch is reported."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self._error = error

    def report(self, metrics):
        raise self._error


def only(server: Server):
    (found,) = server.runs.values()
    return found


def test_tracker_of_a_finished_run_holds_every_epoch_and_is_closed(server, new_job):
    train(new_job())
    assert (only(server).epochs, only(server).status, server.active) == ([1, 2, 3], "FINISHED", [])


@pytest.mark.slow
@pytest.mark.parametrize(
    "error", [RuntimeError("a step failed"), KeyboardInterrupt()], ids=["error", "ctrl-c"]
)
def test_tracker_of_a_run_that_failed_is_closed_and_the_next_in_this_process_has_its_own(
    server, new_job, error
):
    with pytest.raises(type(error)):
        train(new_job("failed"), Interrupted(error))
    assert (only(server).status, server.active) == ("KILLED", [])
    train(new_job("next"))
    assert [run.epochs for run in server.runs.values()] == [[1], [1, 2, 3]]


@pytest.mark.slow
def test_tracker_of_a_resumed_run_goes_on_in_the_same_run(server, new_job):
    interrupted = new_job()
    train(interrupted, LocalSession(stop_after=7))
    assert only(server).status == "KILLED"
    train(interrupted)
    assert (only(server).epochs, only(server).status) == ([1, 2, 3], "FINISHED")


@pytest.mark.slow
def test_tracker_of_a_run_that_was_killed_goes_on_in_the_same_run(server, new_job):
    killed = new_job()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hooks.EpochHooks, "close", lambda _hooks: None)
        train(killed, LocalSession(stop_after=7))
    assert server.active, "nothing ended its runs"
    server.die()
    train(killed)
    assert (only(server).epochs, only(server).status, server.active) == ([1, 2, 3], "FINISHED", [])


def test_tracker_that_fails_to_log_is_closed(server, new_job, caplog):
    server.fails_to = {"log"}
    assert train(new_job()).finished
    assert "failed and is switched off" in caplog.text
    assert server.active == []


def test_tracker_that_fails_while_it_opens_is_closed(server, new_job):
    server.fails_to = {"log_params"}
    assert train(new_job()).finished
    assert server.active == []


def test_network_that_cannot_be_built_leaves_no_thread_and_no_run(server, new_job, monkeypatch):
    def refuse(*_args):
        raise MemoryError("no room for the network")

    monkeypatch.setattr(job, "Learner", refuse)
    before = set(threading.enumerate())
    with pytest.raises(MemoryError):
        train(new_job())
    assert set(threading.enumerate()) == before
    assert server.active == []
