"""A run that goes on with more or fewer epochs than it was started with."""

import pytest

from fakes import LocalSession, final_weights, start_run, tiny_config, train
from machines import machine
from unetpp.config import load_config
from unetpp.config.learning_rate import lr_factor
from unetpp.core.rundir import RunDir
from unetpp.training.run.job import TrainJob, stream_plan
from unetpp.training.run.prepare import resumed_run
from unetpp.training.run.result import summarise

LAPTOP = machine()
STEPS = 5
"""In an epoch."""


class Rates(LocalSession):
    """Remembers the learning rate that each epoch ended with."""

    @property
    def rates(self) -> list[float]:
        return [report["lr"] for report in self.reports]


def job_for(tmp_path, dataset, name: str, **train_fields) -> TrainJob:
    optim = {"lr": train_fields.pop("lr", 1e-3)}
    config = tiny_config(dataset[0], train=train_fields, optim=optim).model_copy(
        update={"out": str(tmp_path / name)}
    )
    return start_run(config, dataset[1])


def finish(job: TrainJob) -> None:
    train(job)
    summarise(job, finished=True, wall_s=0.0, start_up_s=None)


def resume(job: TrainJob, *overrides: str):
    return resumed_run(load_config(None, [f"out={job.run_uri}", *overrides]), LAPTOP)


def rate(job: TrainJob, step: int) -> float:
    """Of the step after so many, in a run of the job's length."""
    total = stream_plan(job).train_steps * job.config.train.epochs
    return job.config.optim.lr * lr_factor(job.config.optim, step, total)


@pytest.mark.slow
@pytest.mark.parametrize("stop_after", [None, 7])
def test_more_epochs_go_on_with_the_schedule_of_the_longer_run(tmp_path, dataset, stop_after):
    job = job_for(tmp_path, dataset, "run", epochs=3)
    if stop_after is None:
        finish(job)
    else:
        train(job, LocalSession(stop_after=stop_after))
    longer, changes = resume(job, "train.epochs=5")
    done = 15 if stop_after is None else stop_after
    change = next(change for change in changes if change.field == "train.epochs")
    assert change.value == 5
    assert (
        f"the next of 25 steps is {done + 1}, at a learning rate of {rate(longer, done):.3g}" in change.reason
    )
    assert RunDir(job.run_uri).read_result() is None
    session = Rates()
    assert train(longer, session).finished
    assert session.steps == 25 - done
    # What an epoch reports is the rate of the step to come.
    first = 4 if stop_after is None else 2
    assert session.rates == [rate(longer, STEPS * epoch) for epoch in range(first, 6)]
    assert [epoch["epoch"] for epoch in RunDir(job.run_uri).read_metrics()] == [1, 2, 3, 4, 5]
    # A plain resume keeps the new length.
    assert resume(job)[0].config.train.epochs == 5


def test_first_step_of_a_longer_run_takes_the_new_rate(tmp_path, dataset):
    """The shorter run's cosine ends at 0: with the saved rate its next step would change nothing."""
    job = job_for(tmp_path, dataset, "run", epochs=2)
    finish(job)
    before = final_weights(job)
    train(resume(job, "train.epochs=4")[0], LocalSession(stop_after=1))
    assert final_weights(job) != before


@pytest.mark.slow
def test_longer_run_stopped_anywhere_is_bit_equal_to_one_that_was_not(tmp_path, dataset):
    whole, cut = (job_for(tmp_path, dataset, name, epochs=2) for name in ("whole", "cut"))
    for job in (whole, cut):
        finish(job)
    train(resume(whole, "train.epochs=4")[0])
    train(resume(cut, "train.epochs=4")[0], LocalSession(stop_after=3))
    train(resume(cut)[0])
    assert final_weights(cut) == final_weights(whole)


@pytest.mark.slow
def test_longer_run_started_before_its_end_is_that_of_the_longer_length_from_there(tmp_path, dataset):
    """Extended before the first step it is the longer run itself."""
    short, long = job_for(tmp_path, dataset, "short", epochs=1), job_for(tmp_path, dataset, "long", epochs=2)
    train(resume(short, "train.epochs=2")[0])
    train(long)
    assert final_weights(short) == final_weights(long)


@pytest.mark.parametrize(("stop_after", "asked", "kept"), [(11, 1, 2), (10, 2, 2), (7, 2, 2)])
def test_fewer_epochs_end_the_run_with_what_is_done(tmp_path, dataset, stop_after, asked, kept):
    job = job_for(tmp_path, dataset, "run", epochs=3)
    train(job, LocalSession(stop_after=stop_after))
    shorter, changes = resume(job, f"train.epochs={asked}")
    assert shorter.config.train.epochs == kept
    session = LocalSession()
    assert train(shorter, session).finished
    assert session.steps == max(0, STEPS * kept - stop_after)
    assert ("the run ends here" in changes[0].reason) == (session.steps == 0)
    assert summarise(shorter, finished=True, wall_s=0.0, start_up_s=None)["epochs"] == kept


@pytest.mark.slow
def test_more_patience_goes_on_and_more_epochs_alone_do_not(tmp_path, dataset):
    job = job_for(tmp_path, dataset, "run", epochs=9, patience=1, lr=1e-12)
    train(job)
    done = len(RunDir(job.run_uri).read_metrics())
    assert done < 9
    session = LocalSession()
    assert train(resume(job, "train.epochs=12")[0], session).finished
    assert session.steps == 0
    train(resume(job, "train.patience=0", f"train.epochs={done + 1}")[0], session)
    assert session.steps == STEPS
