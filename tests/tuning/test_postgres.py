"""Studies in a real PostgreSQL: shared by trials, away for a while, and without its password anywhere."""

import threading
from collections.abc import Iterator

import pytest
from optuna.trial import TrialState

from fakes import write_dataset
from postgres import PostgresServer
from programs import postgresql
from sweeps import Recorder, epoch_metrics, play_trial, start_sweep
from unetpp.config import RunConfig
from unetpp.core.errors import ConfigError, ExistsError, StorageError
from unetpp.core.places import trial_uri
from unetpp.core.rundir import RunDir
from unetpp.core.storage import open_storage
from unetpp.core.storage.retry import Retry
from unetpp.report.sweep.page import write_sweep_report
from unetpp.tuning.folder import load_started, load_sweep
from unetpp.tuning.study.patient_storage import PatientStorage
from unetpp.tuning.sweep import run_sweep

pytestmark = pytest.mark.postgresql

_AWAY_S = 1.0


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    found = postgresql()
    assert found is not None
    started = PostgresServer(found)
    try:
        started.start()
        yield started
    finally:
        started.remove()


@pytest.fixture
def storage(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of an empty database; the password is in the environment."""
    for name, value in server.env.items():
        monkeypatch.setenv(name, value)
    return server.new_database()


def test_ledger_on_postgres_accounts_for_trials_that_run_side_by_side(open_ledger, storage):
    ledger = open_ledger("tune.scheduler=none", "tune.sampler=tpe", storage=storage)
    first, second = ledger.next_trial(), ledger.next_trial()
    for epoch in range(1, 10):
        for spec, dice in ((first, 0.5), (second, 0.6)):
            ledger.report(spec.number, epoch_metrics(epoch, dice, finished=epoch == 9))
    for spec in (second, first):
        ledger.end(spec.number)
    assert [play_trial(ledger, dice)[0] for dice in (0.7, 0.4)] == [2, 3]
    assert ledger.next_trial() is None
    again = open_ledger("tune.scheduler=none", storage=storage)
    assert [trial.state for trial in again.study.trials] == [TrialState.COMPLETE] * 4
    assert [trial.value for trial in again.study.trials] == [0.5, 0.6, 0.7, 0.4]
    best = again.best()
    assert best is not None
    assert (best.trial, best.level) == (2, 2)


@pytest.mark.slow
def test_ledger_on_postgres_that_restarts_waits_and_loses_nothing(server, open_ledger, storage, caplog):
    ledger = open_ledger("tune.scheduler=none", storage=storage)
    spec = ledger.next_trial()
    ledger.report(spec.number, epoch_metrics(1, 0.5))
    server.stop()
    back = threading.Timer(_AWAY_S, server.start)
    back.start()
    try:
        ledger.report(spec.number, epoch_metrics(2, 0.6))
    finally:
        back.join()
    # The connections of the pool are dead again, and the next call is one that adds a trial.
    server.stop()
    back = threading.Timer(_AWAY_S, server.start)
    back.start()
    try:
        other = ledger.next_trial()
    finally:
        back.join()
    for number in (spec.number, other.number):
        ledger.report(number, epoch_metrics(9, 0.7, finished=True))
        ledger.end(number)
    assert [play_trial(ledger, 0.5)[0] for _ in range(2)] == [2, 3]
    assert [trial.state for trial in ledger.study.trials] == [TrialState.COMPLETE] * 4
    assert ledger.study.trials[0].intermediate_values == {1: 0.5, 2: 0.6, 9: 0.7}
    assert "does not answer; waiting" in caplog.text
    assert server.password not in caplog.text


def test_ledger_on_postgres_that_stays_away_says_so_in_the_end(server, open_ledger, storage, monkeypatch):
    ledger = open_ledger(storage=storage)
    spec = ledger.next_trial()
    monkeypatch.setattr(PatientStorage, "patience", Retry(deadline_s=0.2, first_s=0.05))
    server.stop()
    try:
        with pytest.raises(StorageError, match=r"must answer within 0\.2 s; it did not: .*refused") as caught:
            ledger.report(spec.number, epoch_metrics(1, 0.5))
    finally:
        server.start()
    assert server.password not in str(caught.value)
    assert "bring it back, then resume the sweep" in str(caught.value)


def test_sweep_on_postgres_needs_a_study_of_its_own(tmp_path, storage):
    write_dataset(tmp_path / "data", {"train": 12, "val": 4})
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    sweep = start_sweep(tmp_path / "one", tmp_path / "data", f"tune.storage={storage}")
    sweep.study.ask()
    with pytest.raises(ExistsError, match=r"study 'sweep' in postgresql.* has 1 trial\(s\) of another one"):
        start_sweep(tmp_path / "other", tmp_path / "data", f"tune.storage={storage}")
    start_sweep(tmp_path / "other", tmp_path / "data", f"tune.storage={storage}", "tune.study_name=mine")


@pytest.mark.parametrize("field", ["tune.storage={}", 'tune.warm_start=["{}"]'])
@pytest.mark.parametrize(
    "url", ["postgresql+psycopg://me:{}@127.0.0.1/d", "postgresql+psycopg://me@127.0.0.1/d?password={}"]
)
def test_sweep_with_a_password_in_a_url_is_refused_without_showing_it(tmp_path, field, url):
    write_dataset(tmp_path / "data", {"train": 12, "val": 4})
    with pytest.raises(ConfigError, match=r"must hold no password.*PGPASSWORD") as refused:
        start_sweep(tmp_path, tmp_path / "data", field.format(url.format("s3cr3t")))
    assert "s3cr3t" not in str(refused.value)
    assert not (tmp_path / "sweep" / "sweep.yaml").exists()


@pytest.mark.ray
@pytest.mark.s3
@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.usefixtures("ray_cluster")
def test_sweep_with_data_in_a_bucket_and_its_study_in_postgres(
    tmp_path, s3_env, server, storage, caplog, capfd
):
    bucket = s3_env.new_bucket()
    write_dataset(f"{bucket}/data", {"train": 24, "val": 4})
    uri, places = f"{bucket}/sweep", [f"tune.storage={storage}", f"out={bucket}/sweep"]
    sweep = start_sweep(tmp_path, f"{bucket}/data", "tune.trials=4", "train.epochs=3", *places)
    ledger = run_sweep(sweep, Recorder(), concurrent=2)
    assert not ledger.interrupted
    states = [trial.state for trial in load_sweep(uri)[1].trials]
    assert len(states) == 4
    assert set(states) <= {TrialState.COMPLETE, TrialState.PRUNED}
    best = ledger.best()
    assert best is not None
    run = RunDir(trial_uri(uri, best.trial))
    assert RunConfig.model_validate(run.read_config()).data.uri == f"{bucket}/data"
    assert run.checkpoints.latest() is not None
    config, space = load_started(uri, ["tune.trials=5"], tmp_path / "space.py")
    assert (config.tune.trials, config.out, space.sha256) == (5, uri, sweep.setup.space.sha256)
    report = tmp_path / "report.html"
    write_sweep_report(uri, report)
    folder = open_storage(uri)
    texts = [folder.read(path) for path in folder.list()] + [report.read_bytes()]
    texts += [part.encode() for part in (caplog.text, *capfd.readouterr())]
    assert not any(server.password.encode() in text for text in texts)
