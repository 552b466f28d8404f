"""Optuna's private interfaces: all that the package uses of them.

`FrozenTrial._trial_id`: `optuna.Trial(study, id)` is public and what takes up a trial that nobody runs any
    more, but no public attribute tells the id.
`Study._storage`, `Study._study_id`: recording by trial number, where `Study.tell` and `Trial` would want the
    process that asked for the trial.
`BaseDistribution._contains`: whether a value can be chosen again; the public `FixedTrial` only warns.
`RDBStorage._create_new_trial` and three more: what Optuna's own cache in front of a database calls in place
    of the public methods, so that a storage that repeats calls must repeat these.
"""

from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial

__all__ = ["CHECKED_VERSION", "STORAGE_CALLS", "contains", "continued_trial", "storage_of", "trial_id"]

CHECKED_VERSION = "5.0.0"
"""The release whose source says what stands above; tests/compat fails when constraints.txt pins another."""

STORAGE_CALLS = {
    *BaseStorage.__abstractmethods__,
    RDBStorage._create_new_trial.__name__,
    RDBStorage._set_trial_param.__name__,
    RDBStorage._get_trials.__name__,
    RDBStorage._get_best_trial_id.__name__,
    RDBStorage.get_trial_id_from_study_id_trial_number.__name__,
}
"""Methods by which a study reaches its database."""


def continued_trial(study: optuna.Study, trial: FrozenTrial) -> optuna.Trial:
    """A running trial of a process that has ended, as if this one had asked for it."""
    return optuna.Trial(study, trial._trial_id)


def storage_of(study: optuna.Study) -> BaseStorage:
    """Where the study reads and writes, with Optuna's cache in front."""
    return study._storage


def trial_id(study: optuna.Study, number: int) -> int:
    """The id in the storage of the study's trial with this number.

    Raises:
        KeyError: the study has no such trial.
    """
    return storage_of(study).get_trial_id_from_study_id_trial_number(study._study_id, number)


def contains(distribution: BaseDistribution, value: Any) -> bool:
    """Whether a trial can have the value: within the bounds and on a step, or one of the choices."""
    return distribution._contains(distribution.to_internal_repr(value))
