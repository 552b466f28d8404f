"""A run that goes by minutes: where it validates and ends, on a clock that the test moves."""

import json

import pytest
import torch

from fakes import LocalSession, start_run, tiny_config
from unetpp.core.rundir import RunDir
from unetpp.models.load import DILATION_FILE
from unetpp.training.run.rank import run_job
from unetpp.training.run.saved_state import last_state

CPU = torch.device("cpu")


class Clock:
    """Moves by a fixed time at each look, as if all work took as long."""

    def __init__(self, tick_s):
        self.now_s, self.tick_s = 0.0, tick_s

    def __call__(self):
        self.now_s += self.tick_s
        return self.now_s


def job_for(tmp_path, dataset, name="run", **train):
    uri, manifest = dataset
    config = tiny_config(uri, train={"minutes": 1.0, **train})
    return start_run(config.model_copy(update={"out": str(tmp_path / name)}), manifest)


@pytest.mark.slow
def test_minutes_end_with_a_validated_checkpoint(tmp_path, dataset):
    job, session = job_for(tmp_path, dataset), LocalSession()
    state = run_job(job, session, CPU, Clock(0.4))
    assert state.finished
    assert state.used_s == 60
    assert "val" in session.reports[-1]
    found = RunDir(job.run_uri).checkpoints.latest()
    assert found is not None
    assert found[0] == session.reports[-1]["step"]


def test_minutes_shorter_than_an_epoch_end_inside_it_validated(tmp_path, dataset):
    job, session = job_for(tmp_path, dataset), LocalSession()
    state = run_job(job, session, CPU, Clock(12.0))
    assert state.finished
    assert [report["epoch"] for report in session.reports] == [1]
    assert 0 < session.reports[0]["images"] < 18
    assert "val" in session.reports[0]


@pytest.mark.slow
def test_minutes_learning_rate_falls_with_the_time(tmp_path, dataset):
    job, session = job_for(tmp_path, dataset), LocalSession()
    run_job(job, session, CPU, Clock(0.1))
    rates = [report["lr"] for report in session.reports]
    assert len(rates) > 2
    assert rates[0] > rates[-1]
    assert rates[-1] < 0.02 * job.config.optim.lr


@pytest.mark.slow
def test_minutes_resumed_go_on_with_what_is_left(tmp_path, dataset):
    job = job_for(tmp_path, dataset)
    run_job(job, LocalSession(stop_after=10), CPU, Clock(0.4))
    stopped = last_state(RunDir(job.run_uri))
    assert 0 < stopped.used_s < 30
    clock = Clock(0.4)
    clock.now_s = 1e6
    state = run_job(job, LocalSession(), CPU, clock)
    assert state.finished
    assert clock.now_s - 1e6 == pytest.approx(60 - stopped.used_s, abs=5)


@pytest.mark.slow
def test_minutes_score_the_same_rows_after_a_resume(tmp_path, dataset):
    job = job_for(tmp_path, dataset)
    run_job(job, LocalSession(stop_after=4), CPU, Clock(0.4))
    rows = last_state(RunDir(job.run_uri)).val_rows
    assert rows > 0
    assert run_job(job, LocalSession(), CPU, Clock(0.4)).val_rows == rows


@pytest.mark.slow
def test_minutes_spend_a_tenth_on_validation_at_most(tmp_path, dataset):
    job, session = job_for(tmp_path, dataset, minutes=10.0), LocalSession()
    state = run_job(job, session, CPU, Clock(2.0))
    assert len(session.reports) <= 101
    assert state.bookkeeping_s <= 60


def test_minutes_count_checkpoints_inside_an_epoch_as_bookkeeping(tmp_path, dataset):
    job = job_for(tmp_path, dataset, checkpoint_every_steps=1)
    state = run_job(job, LocalSession(stop_after=4), CPU, Clock(0.4))
    assert (state.epoch, state.step) == (0, 4)
    assert state.bookkeeping_s > 0


def test_minutes_without_a_validation_split_end_with_a_checkpoint(tmp_path, dataset):
    uri, manifest = dataset
    splits = {"train": manifest.splits["train"]}
    job = job_for(tmp_path, (uri, manifest.model_copy(update={"splits": splits})))
    session = LocalSession()
    assert run_job(job, session, CPU, Clock(0.5)).finished
    assert RunDir(job.run_uri).checkpoints.latest() is not None


def test_minutes_probing_batches_does_not_choose_among_shared_dilations(tmp_path, dataset):
    uri, manifest = dataset
    vectors = ((1, 1, 1), (1, 2, 2), (2, 2, 2))
    for own in vectors:
        model = {"shared_dilations": vectors, "dilation": own}
        config = tiny_config(uri, model=model, train={"minutes": 1.0})
        job = start_run(config.model_copy(update={"out": str(tmp_path / str(own))}), manifest)
        run_job(job, LocalSession(stop_after=1), CPU, Clock(0.4))
        found = RunDir(job.run_uri).checkpoints.latest()
        assert found is not None
        assert json.loads(found[1][DILATION_FILE]) == list(own)
