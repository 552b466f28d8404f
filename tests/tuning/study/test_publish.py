"""The study of a sweep in a bucket: published in time, read by others, and never by a driver that lost it."""

import sqlite3
import threading
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from fakes import write_dataset
from sweeps import Recorder, epoch_metrics, play_trial, start_sweep
from unetpp.core.errors import InputError, OwnedError, StorageError, UserError
from unetpp.core.ownership import Claim
from unetpp.core.storage import Storage, open_storage
from unetpp.tuning.folder import load_sweep
from unetpp.tuning.ledger import Ledger
from unetpp.tuning.study import publish
from unetpp.tuning.study.file import driver_file, reader_file
from unetpp.tuning.study.publish import StudyPublisher, Unpublished
from unetpp.tuning.study.record import WARM_START_OF
from unetpp.tuning.sweep import run_sweep

pytestmark = pytest.mark.s3


@pytest.fixture
def bucket(s3_env) -> str:
    uri: str = s3_env.new_bucket()
    return uri


@pytest.fixture
def ledger(tmp_path: Path, bucket: str) -> Ledger:
    write_dataset(tmp_path / "data", {"train": 12, "val": 4})
    return continued(tmp_path, bucket, resume=False)


def continued(tmp_path: Path, bucket: str, *, resume: bool = True) -> Ledger:
    fields = (f"out={bucket}/sweep", "tune.trials=3", "train.epochs=9", "tune.scheduler=none")
    sweep = start_sweep(tmp_path, tmp_path / "data", *fields, resume=resume)
    return Ledger(sweep.setup, sweep.study, sweep.publisher)


def published(bucket: str) -> list[optuna.trial.FrozenTrial]:
    return load_sweep(f"{bucket}/sweep")[1].trials


def states(bucket: str) -> list[str]:
    return [trial.state.name for trial in published(bucket)]


def test_study_is_published_when_a_trial_is_launched_and_when_it_has_ended(ledger, bucket):
    assert states(bucket) == ["WAITING"]
    spec = ledger.next_trial()
    assert spec is not None
    assert states(bucket) == ["RUNNING"]
    for epoch in range(1, 10):
        ledger.report(spec.number, epoch_metrics(epoch, 0.5, finished=epoch == 9))
    ledger.end(spec.number)
    assert states(bucket) == ["COMPLETE"]


def test_study_is_published_in_the_background_while_a_trial_runs(ledger, bucket, monkeypatch):
    monkeypatch.setattr(publish, "_INTERVAL_S", 0.01)
    before, uploaded, put = set(threading.enumerate()), threading.Event(), Storage.put

    def put_and_tell(storage: Storage, local_path: Path, path: str) -> None:
        put(storage, local_path, path)
        uploaded.set()

    spec = ledger.next_trial()
    assert spec is not None
    monkeypatch.setattr(Storage, "put", put_and_tell)
    ledger.report(spec.number, epoch_metrics(1, 0.5))
    assert uploaded.wait(60)
    assert published(bucket)[0].intermediate_values == {1: 0.5}
    ledger._publisher.stop()
    assert not [t for t in set(threading.enumerate()) - before if t.name == "publish-study"]


def test_study_stopped_publisher_leaves_no_epoch_behind(ledger, bucket):
    spec = ledger.next_trial()
    assert spec is not None
    ledger.report(spec.number, epoch_metrics(1, 0.5))
    ledger._publisher.stop()
    assert published(bucket)[0].intermediate_values == {1: 0.5}


def test_study_after_the_loss_of_the_drivers_file_goes_on_as_published(ledger, bucket, tmp_path):
    assert play_trial(ledger, 0.5)[0] == 0
    spec = ledger.next_trial()
    assert spec is not None
    driver_file(open_storage(f"{bucket}/sweep")).unlink()
    again = continued(tmp_path, bucket)
    # The trial that ran is launched again with the same parameters, before any other.
    same = again.next_trial()
    assert same is not None
    assert (same.number, same.config.optim.lr) == (spec.number, spec.config.optim.lr)
    for epoch in range(1, 10):
        again.report(same.number, epoch_metrics(epoch, 0.6, finished=epoch == 9))
    again.end(same.number)
    assert play_trial(again, 0.7)[0] == 2
    assert again.next_trial() is None
    assert states(bucket) == ["COMPLETE"] * 3


def test_study_what_this_machine_kept_of_an_earlier_driver_does_not_count(ledger, bucket, tmp_path):
    ledger._publisher.soon = lambda: None  # type: ignore[method-assign]
    spec = ledger.next_trial()
    assert spec is not None
    ledger.report(spec.number, epoch_metrics(1, 0.5))
    again = continued(tmp_path, bucket)
    assert again.study.trials[0].intermediate_values == {}


def test_study_warm_starts_another_sweep_by_the_uri_of_its_own(ledger, bucket, tmp_path):
    play_trial(ledger, 0.5)
    (tmp_path / "next").mkdir()
    sweep = start_sweep(tmp_path / "next", tmp_path / "data", f'tune.warm_start=["{bucket}/sweep"]')
    copied = [trial for trial in sweep.study.trials if WARM_START_OF in trial.user_attrs]
    assert [(trial.value, trial.params) for trial in copied] == [(0.5, ledger.study.trials[0].params)]


def test_study_is_a_plain_file_for_optuna(ledger, bucket, tmp_path):
    play_trial(ledger, 0.5)
    open_storage(f"{bucket}/sweep").get("study.db", tmp_path / "copy.db")
    study = optuna.load_study(study_name="sweep", storage=f"sqlite:///{tmp_path / 'copy.db'}")
    assert [trial.value for trial in study.trials] == [0.5]


def test_study_is_private_on_the_drivers_machine(ledger, bucket):
    folder = driver_file(open_storage(f"{bucket}/sweep")).parent
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in folder.iterdir()] == ["study.db"]


def test_reader_of_the_study_keeps_one_file_up_to_date(ledger, bucket):
    folder = open_storage(f"{bucket}/sweep")
    file = reader_file(folder)
    with sqlite3.connect(file) as kept_open:
        count = "select count(*) from trial_values"
        assert kept_open.execute(count).fetchone() == (0,)
        play_trial(ledger, 0.5)
        assert reader_file(folder) == file
        assert kept_open.execute(count).fetchone() == (1,)


def test_reader_of_a_sweep_whose_study_is_gone_says_so(ledger, bucket):
    open_storage(f"{bucket}/sweep").delete("study.db")
    with pytest.raises(InputError, match=r"the study of sweep s3://.* is missing"):
        load_sweep(f"{bucket}/sweep")


def test_study_is_not_published_by_a_driver_that_was_overtaken(ledger, bucket):
    folder = open_storage(f"{bucket}/sweep")
    publisher = StudyPublisher(driver_file(folder), folder, Claim(folder.uri, 1))
    publisher.now()
    folder.write("owners/00002.json", b"")
    before = folder.stamp("study.db")
    with pytest.raises(OwnedError, match="taken over by another process"):
        publisher.now()
    assert folder.stamp("study.db") == before


def test_study_that_cannot_be_published_ends_the_sweep_and_says_how_to_go_on(ledger, bucket):
    folder = Storage(f"{bucket}/sweep", deadline_s=0.2)
    publisher = StudyPublisher(driver_file(folder), Storage("s3://absent/sweep", deadline_s=0.2), None)
    with pytest.raises(
        StorageError, match=r"ends; what s3://absent/sweep holds by now is kept, and --resume"
    ):
        publisher.now()


class Failing(Unpublished):
    """Fails when the first trial has ended."""

    def __init__(self, error: UserError) -> None:
        self.calls, self._error = 0, error

    def now(self) -> None:
        self.calls += 1
        if self.calls == 2:
            raise self._error


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "error",
    [StorageError("the bucket is gone"), pytest.param(OwnedError("taken over"), marks=pytest.mark.nightly)],
)
def test_sweep_whose_study_cannot_be_published_ends_with_the_reason(tmp_path, error):
    write_dataset(tmp_path / "data", {"train": 12, "val": 4})
    sweep = start_sweep(tmp_path, tmp_path / "data", "tune.trials=3", "train.epochs=1")
    with pytest.raises(type(error), match=str(error)):
        run_sweep(replace(sweep, publisher=Failing(error)), Recorder(), concurrent=1)
    assert load_sweep(str(tmp_path / "sweep"))[1].trials[1:] == []
