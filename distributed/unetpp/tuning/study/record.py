"""What a study is told about its trials; nothing here touches a trial that has finished.

    user attribute    value
    networks, epoch:* results after every epoch, see epochs.py
    cause             why the trial failed or was infeasible
    run               URI of the trial's run folder
    start_up_seconds  from its launch to its first training step, and from its first epoch's end to the report
    warm_start_of     the earlier study's trial that this one copies
    inherits          number of the trial whose weights this one began with, see inherit.py
    population, exploit:*  whose weights it went on with while it trained, see exploits.py
    config_sha256     of the planned configuration; same_as: the trial that had it before, see repeats.py

A single objective's headline quality is also an intermediate value, which dashboards draw and samplers read.
"""

import logging
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Literal

import optuna
from optuna.trial import FrozenTrial, TrialState

from unetpp.compat.optuna import storage_of, trial_id
from unetpp.tuning.study.epochs import (
    NETWORKS,
    EpochRecord,
    dump_epoch,
    dump_networks,
    epoch_key,
    epoch_records,
    kept_after,
    kept_levels,
)
from unetpp.tuning.study.levels import LevelResult, costs, headline
from unetpp.tuning.study.study import objectives_of

__all__ = [
    "CONFIG_SHA256",
    "INHERITS",
    "IS_DEFAULT",
    "NO_QUALITY",
    "RAN",
    "RUN",
    "SAME_AS",
    "START_UP",
    "WARM_START_OF",
    "Outcome",
    "TrialRecord",
    "cause_of",
    "is_infeasible",
    "own_trials",
]

logger = logging.getLogger(__name__)

Outcome = Literal["COMPLETE", "PRUNED", "FAIL", "INFEASIBLE"]

IS_DEFAULT = "is_default"
RAN = "ran_seconds"
"""Of the study: how long its sweep has run, kept for a resume."""
RUN = "run"
START_UP = "start_up_seconds"
WARM_START_OF = "warm_start_of"
CONFIG_SHA256 = "config_sha256"
SAME_AS = "same_as"
INHERITS = "inherits"
NO_QUALITY = "no epoch has a finite quality on the validation split"
"""The cause of a trial that trained and has no result."""
_CAUSE = "cause"
_FEASIBILITY = "feasibility"


class TrialRecord:
    """One trial in its study, read once; what is told costs the same however long the study is.

    Optuna's own handle on a trial draws parameters when it is made and reads the trial at every call.
    """

    def __init__(self, study: optuna.Study, number: int) -> None:
        """Read the trial.

        Raises:
            ValueError: the study has no such trial.
        """
        self._study, self._storage, self.number = study, storage_of(study), number
        try:
            self._id = trial_id(study, number)
        except KeyError as error:
            count = len(study.get_trials(deepcopy=False))
            raise ValueError(f"the trial must be one of the study's {count}; it is {number}") from error
        trial = self._storage.get_trial(self._id)
        self._ended = trial.state.is_finished()
        self._has_networks = NETWORKS in trial.user_attrs
        self.params = dict(trial.params)
        self.epochs = epoch_records(trial)
        """What is recorded, by epoch."""
        self.kept = kept_levels(self.epochs)
        """Results of the epoch whose checkpoint the run keeps as best; empty before the first one."""

    def epoch(self, epoch: int, record: EpochRecord) -> bool:
        """Keep an epoch's results; False if the trial has finished. What is recorded once stays."""
        if epoch in self.epochs or self._ended:
            return not self._ended
        levels = record.levels
        quality = headline(levels).quality if levels else math.nan
        if levels and not self._has_networks:
            self._has_networks = self.note(NETWORKS, dump_networks(levels))
        # The epoch last: killed before it, the next report finds it missing and adds all.
        if len(self._study.directions) == 1 and math.isfinite(quality):
            self._write(lambda: self._storage.set_trial_intermediate_value(self._id, epoch, quality))
        if not self.note(epoch_key(epoch), dump_epoch(record)):
            return False
        self.epochs[epoch] = record
        self.kept = kept_after(self.kept, record)
        return True

    def note(self, key: str, value: Any) -> bool:
        """Keep a user attribute, such as the trial's run folder; False if the trial has finished."""
        return self._write(lambda: self._storage.set_trial_user_attr(self._id, key, value))

    def finish(self, outcome: Outcome, *, cause: str = "", violation: float = 1.0) -> Outcome | None:
        """End the trial; returns what became of it, or None if it has finished already.

        A complete trial's values are those of its headline level in the epoch that its run keeps. Without a
        finite one it fails. An infeasible trial is stored as pruned without values and with a violated
        constraint: TPE learns from it to stay away, the other samplers pass over it.

        Args:
            outcome: what became of it.
            cause: why, for FAIL and INFEASIBLE.
            violation: above 0, growing with the distance from feasible; for INFEASIBLE.
        """
        if self._ended:
            return None
        values = self._values() if outcome == "COMPLETE" else None
        if outcome == "COMPLETE" and values is None:
            outcome, cause = "FAIL", cause or NO_QUALITY
        if cause and not self.note(_CAUSE, cause):
            return None
        if outcome == "INFEASIBLE":
            optuna.Trial(self._study, self._id).set_constraint(_FEASIBILITY, violation)
        state = TrialState.PRUNED if outcome == "INFEASIBLE" else TrialState[outcome]
        # Finished meanwhile: by this very call, whose answer a database lost before it was repeated.
        with suppress(optuna.exceptions.UpdateFinishedTrialError):
            self._study.tell(self.number, values, state=state, skip_if_finished=True)
        self._ended = True
        return outcome

    def finish_as(self, earlier: FrozenTrial) -> Outcome | None:
        """End the trial with the result of an earlier one of its configuration; it has no epochs of its own.

        Returns:
            What became of it, or None if it has finished already.
        """
        if not self.note(SAME_AS, earlier.number):
            return None
        outcome: Outcome = "COMPLETE" if earlier.state == TrialState.COMPLETE else "PRUNED"
        for step, value in earlier.intermediate_values.items():
            self._write(partial(self._storage.set_trial_intermediate_value, self._id, step, value))
        with suppress(optuna.exceptions.UpdateFinishedTrialError):
            values = earlier.values if outcome == "COMPLETE" else None
            self._study.tell(self.number, values, state=earlier.state, skip_if_finished=True)
        self._ended = True
        return outcome

    def _write(self, write: Callable[[], None]) -> bool:
        if self._ended:
            return False
        try:
            write()
        except optuna.exceptions.UpdateFinishedTrialError:
            logger.debug("trial %d has finished and stays as it is", self.number)
            self._ended = True
        return not self._ended

    def _values(self) -> list[float] | None:
        if not self.kept or not math.isfinite(headline(self.kept).quality):
            return None
        return _objective_values(headline(self.kept), self._study)


def own_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Trials of this sweep; those of earlier studies that warm-start it are left out."""
    return [trial for trial in study.get_trials(deepcopy=False) if WARM_START_OF not in trial.user_attrs]


def cause_of(trial: FrozenTrial) -> str:
    """Why a trial failed or was infeasible; empty for the others."""
    return str(trial.user_attrs.get(_CAUSE, ""))


def is_infeasible(trial: FrozenTrial) -> bool:
    """Whether the trial was not launched because it could not run."""
    return any(value > 0 for value in trial.constraints.values())


def _objective_values(best: LevelResult, study: optuna.Study) -> list[float]:
    objectives: Sequence[Any] = objectives_of(study)
    minimised = costs(best, objectives)
    return [-cost if name == "quality" else cost for name, cost in zip(objectives, minimised, strict=True)]
