"""Optuna's private interfaces still do what the package uses them for."""

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from unetpp.compat.optuna import STORAGE_CALLS, contains, continued_trial, storage_of, trial_id


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/study.db"


def test_a_trial_that_another_process_left_behind_is_continued(url):
    left = optuna.create_study(study_name="a", storage=url).ask()
    left.suggest_float("lr", 0.1, 0.2)
    study = optuna.load_study(study_name="a", storage=url)
    trial = continued_trial(study, study.get_trials()[0])
    trial.report(0.5, step=1)
    study.tell(trial, 0.5)
    ended = optuna.load_study(study_name="a", storage=url).get_trials()[0]
    assert (ended.state, ended.params) == (TrialState.COMPLETE, left.params)
    assert ended.intermediate_values == {1: 0.5}


def test_trial_id_is_found_by_number_in_a_storage_of_two_studies(url):
    optuna.create_study(study_name="other", storage=url).ask()
    study = optuna.create_study(study_name="a", storage=url)
    study.ask()
    last = study.ask()
    found = storage_of(study).get_trial(trial_id(study, last.number))
    assert found.number == last.number == 1
    with pytest.raises(KeyError):
        trial_id(study, 2)


@pytest.mark.parametrize(
    ("distribution", "inside", "outside"),
    [
        (FloatDistribution(0.1, 0.5), 0.5, 0.6),
        (FloatDistribution(0.0, 1.0, step=0.25), 0.75, 0.8),
        (IntDistribution(2, 8, step=2), 8, 3),
        (IntDistribution(1, 100, log=True), 1, 101),
    ],
)
def test_contains_tells_values_a_trial_can_have(distribution, inside, outside):
    assert contains(distribution, inside)
    assert not contains(distribution, outside)


def test_contains_tells_the_choices():
    assert contains(CategoricalDistribution(["a", None]), None)


def test_a_study_reaches_its_database_by_the_listed_calls_only(url):
    called: set[str] = set()
    depth = 0

    class Recording(RDBStorage):
        def __getattribute__(self, name):
            value = super().__getattribute__(name)
            if name not in vars(RDBStorage) or not callable(value):
                return value

            def call(*args, **kwargs):
                nonlocal depth
                if depth == 0:
                    called.add(name)
                depth += 1
                try:
                    return value(*args, **kwargs)
                finally:
                    depth -= 1

            return call

    study = optuna.create_study(storage=Recording(url))
    called.clear()  # making a study also asks for the storage's settings
    study.enqueue_trial({"x": 0.5})
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    trial = study.ask()
    trial.suggest_int("n", 1, 3)
    trial.report(1.0, 0)
    trial.set_user_attr("a", 1)
    study.tell(trial, state=TrialState.PRUNED)
    assert study.best_trial.number in range(3)
    called -= {"get_heartbeat_interval"}  # a setting; it is not in the database
    assert {"_create_new_trial", "_get_trials"} < called <= STORAGE_CALLS
