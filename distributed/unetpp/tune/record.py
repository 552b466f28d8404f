"""What a study is told about its trials; nothing here touches a trial that has finished.

    user attribute    value
    levels:<epoch>    results of every level after that epoch (JSON text, see levels.py)
    cause             why the trial failed or was infeasible
    run               URI of the trial's run folder
    seconds           time of its epochs so far
    start_up_seconds  from its launch to its first training step, and from its first epoch's end to the report
    warm_start_of     the earlier study's trial that this one copies

A single objective's headline quality is also an intermediate value, which dashboards draw and samplers read.
"""

import logging
import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Literal

import optuna
from optuna.trial import FrozenTrial, TrialState

from unetpp.tune.levels import LevelResult, costs, dump_levels, headline, load_levels
from unetpp.tune.study import objectives_of

__all__ = [
    "IS_DEFAULT",
    "RUN",
    "SECONDS",
    "START_UP",
    "WARM_START_OF",
    "Outcome",
    "cause_of",
    "epochs_of",
    "finish",
    "is_infeasible",
    "kept_levels",
    "own_trials",
    "record_epoch",
    "record_note",
]

_LOG = logging.getLogger(__name__)

Outcome = Literal["COMPLETE", "PRUNED", "FAIL", "INFEASIBLE"]

IS_DEFAULT = "is_default"
RUN = "run"
SECONDS = "seconds"
START_UP = "start_up_seconds"
WARM_START_OF = "warm_start_of"
_CAUSE = "cause"
_LEVELS = "levels:"
_FEASIBILITY = "feasibility"


def record_epoch(study: optuna.Study, number: int, epoch: int, levels: Sequence[LevelResult]) -> bool:
    """Keep an epoch's results; False if the trial has finished already.

    Needs at least one result; recording an epoch again changes nothing.
    """
    trial = _running(study, number)
    if trial is None:
        return False
    quality = headline(levels).quality
    if f"{_LEVELS}{epoch}" not in trial.user_attrs:
        # The value first: killed in between, the next call finds the levels missing and adds them.
        if len(study.directions) == 1 and math.isfinite(quality):
            trial.report(quality, epoch)
        trial.set_user_attr(f"{_LEVELS}{epoch}", dump_levels(levels))
    return True


def record_note(study: optuna.Study, number: int, key: str, value: Any) -> bool:
    """Keep a user attribute, such as the trial's run folder; False if the trial has finished already."""
    trial = _running(study, number)
    if trial is None:
        return False
    trial.set_user_attr(key, value)
    return True


def finish(
    study: optuna.Study, number: int, outcome: Outcome, *, cause: str = "", violation: float = 1.0
) -> bool:
    """End a trial; False if it has finished already.

    A complete trial's values are those of its headline level in the epoch that its run keeps. Without a
    finite one it fails. An infeasible trial is stored as pruned without values and with a violated
    constraint: TPE learns from it to stay away, the other samplers pass over it.

    Args:
        study: of the trial.
        number: the trial's.
        outcome: what became of it.
        cause: why, for FAIL and INFEASIBLE.
        violation: above 0, growing with the distance from feasible; for INFEASIBLE.
    """
    trial = _running(study, number)
    if trial is None:
        return False
    values = _values(study, number) if outcome == "COMPLETE" else None
    if outcome == "COMPLETE" and values is None:
        outcome, cause = "FAIL", cause or "no epoch has a finite quality on the validation split"
    if cause:
        trial.set_user_attr(_CAUSE, cause)
    if outcome == "INFEASIBLE":
        trial.set_constraint(_FEASIBILITY, violation)
    state = TrialState.PRUNED if outcome == "INFEASIBLE" else TrialState[outcome]
    # Finished meanwhile: by this very call, whose answer a database lost before it was repeated.
    with suppress(optuna.exceptions.UpdateFinishedTrialError):
        study.tell(number, values, state=state, skip_if_finished=True)
    return True


def own_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Trials of this sweep; those of earlier studies that warm-start it are left out."""
    return [trial for trial in study.get_trials(deepcopy=False) if WARM_START_OF not in trial.user_attrs]


def epochs_of(trial: FrozenTrial) -> dict[int, list[LevelResult]]:
    """Recorded results by epoch, in order."""
    found = {
        int(key.removeprefix(_LEVELS)): load_levels(value)
        for key, value in trial.user_attrs.items()
        if key.startswith(_LEVELS)
    }
    return dict(sorted(found.items()))


def kept_levels(trial: FrozenTrial) -> list[LevelResult]:
    """Results of the epoch whose checkpoint the run keeps as best: its deepest level was best, first.

    All levels are of one epoch, so that each is a network that can be had. Empty before the first one.
    """
    best: list[LevelResult] = []
    for levels in epochs_of(trial).values():
        if not best or _deepest(levels) > _deepest(best):
            best = levels
    return best


def cause_of(trial: FrozenTrial) -> str:
    """Why a trial failed or was infeasible; empty for the others."""
    return str(trial.user_attrs.get(_CAUSE, ""))


def is_infeasible(trial: FrozenTrial) -> bool:
    """Whether the trial was not launched because it could not run."""
    return any(value > 0 for value in trial.constraints.values())


def _deepest(levels: Sequence[LevelResult]) -> float:
    quality = max(levels, key=lambda result: result.level).quality
    return -math.inf if math.isnan(quality) else quality


def _values(study: optuna.Study, number: int) -> list[float] | None:
    levels = kept_levels(study.get_trials(deepcopy=False)[number])
    if not levels or not math.isfinite(headline(levels).quality):
        return None
    objectives = objectives_of(study)
    minimised = costs(headline(levels), objectives)
    return [-cost if name == "quality" else cost for name, cost in zip(objectives, minimised, strict=True)]


def _running(study: optuna.Study, number: int) -> optuna.Trial | None:
    """A handle on the trial, or None if it has finished.

    Raises:
        ValueError: the study has no such trial.
    """
    trials = study.get_trials(deepcopy=False)
    if not 0 <= number < len(trials):
        raise ValueError(f"the trial must be one of the study's {len(trials)}; it is {number}")
    if trials[number].state != TrialState.RUNNING:
        _LOG.debug("trial %d is %s and stays as it is", number, trials[number].state.name)
        return None
    return optuna.Trial(study, trials[number]._trial_id)
