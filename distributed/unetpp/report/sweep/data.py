"""Everything a sweep's folder and study tell, read once; also while the sweep runs."""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from unetpp.config.load import flatten
from unetpp.config.run import RunConfig
from unetpp.config.sections.base import AUTO
from unetpp.config.sections.tune import ObjectiveName
from unetpp.config.stored import stored_config
from unetpp.core.places import trial_uri
from unetpp.core.rundir import RunDir
from unetpp.core.storage import open_storage
from unetpp.tuning.folder import load_sweep
from unetpp.tuning.kept_space import space_name
from unetpp.tuning.results.confirmed import called_best, holds, read_confirmed, winner_run
from unetpp.tuning.results.importance import parameter_importances
from unetpp.tuning.results.leaderboard import LeaderRow, leaderboard, pareto_rows
from unetpp.tuning.results.next_hour import NextHour, next_hour
from unetpp.tuning.study.epochs import epoch_records, kept_levels, trial_seconds
from unetpp.tuning.study.exploits import Exploit, recorded_exploits
from unetpp.tuning.study.levels import headline
from unetpp.tuning.study.record import (
    INHERITS,
    IS_DEFAULT,
    SAME_AS,
    START_UP,
    cause_of,
    is_infeasible,
    own_trials,
)
from unetpp.tuning.study.study import SPACE_SHA256, SPACE_SOURCE, objectives_of

__all__ = ["Outcome", "SweepData", "TrialData", "load_sweep_data"]

Outcome = Literal["COMPLETE", "PRUNED", "FAIL", "INFEASIBLE", "RUNNING", "REPEATED"]
"""REPEATED is a trial that was given the result of an earlier one of its configuration."""


@dataclass(frozen=True)
class TrialData:
    number: int
    outcome: Outcome
    settings: dict[str, Any]
    distributions: dict[str, BaseDistribution]
    curve: tuple[tuple[int, float], ...]
    """(epoch, quality) of the level that is best in the checkpoint kept, over the validated epochs."""
    quality: float | None
    """Of that level in the checkpoint kept; None before the first one, and where it is NaN."""
    seconds: float
    start_up_s: float | None
    cause: str
    same_as: int | None
    """The earlier trial whose result it was given."""
    inherits: int | None
    """The earlier trial whose weights it began with."""
    exploits: tuple[Exploit, ...]
    """Those whose weights it went on with."""
    is_default: bool
    """Whether it is the base configuration."""

    @property
    def epochs(self) -> int:
        """The last validated epoch."""
        return self.curve[-1][0] if self.curve else 0


@dataclass(frozen=True)
class SweepData:
    uri: str
    config: RunConfig
    objectives: tuple[ObjectiveName, ...]
    trials: tuple[TrialData, ...]
    """Started ones, by number."""
    rows: list[LeaderRow]
    front: list[LeaderRow]
    best: LeaderRow | None
    """What a confirmation found to be best, or the highest score where there was none."""
    confirmed: dict[str, Any] | None
    """What the last confirmation found, see `confirm`, while it holds."""
    best_config: dict[str, Any]
    """Not the default; empty without a best trial. Of `scale`, what the base configuration gave."""
    importances: dict[str, float]
    next_hour: NextHour | None
    space_name: str
    space_source: str
    space_sha256: str
    started: datetime | None
    ended: datetime | None
    """When the last of the ended trials did."""

    @property
    def best_run(self) -> str:
        """URI of the run to use: the confirmed winner's, or the best trial's own."""
        assert self.best is not None
        if self.confirmed is not None:
            return winner_run(self.uri, self.confirmed)
        return trial_uri(self.uri, self.best.trial)

    @property
    def state(self) -> str:
        """finished, unfinished (trials are open) or ended early (at a budget, or not yet continued)."""
        if any(trial.outcome == "RUNNING" for trial in self.trials):
            return "unfinished"
        return "finished" if len(self.trials) >= self.config.tune.trials else "ended early"


def load_sweep_data(uri: str) -> SweepData:
    """Read a sweep.

    Raises:
        InputError: no sweep there, or its study is gone.
        StorageError: the study's storage cannot be used.
    """
    config, study = load_sweep(uri)
    trials = [trial for trial in own_trials(study) if trial.state != TrialState.WAITING]
    source = str(study.user_attrs[SPACE_SOURCE])
    rows = leaderboard(study)
    confirmed = read_confirmed(uri)
    if confirmed is not None and not holds(confirmed, rows):
        confirmed = None
    best = called_best(rows, confirmed)
    return SweepData(
        uri=uri.rstrip("/"),
        config=config,
        objectives=objectives_of(study),
        trials=tuple(_trial(trial) for trial in trials),
        rows=rows,
        front=pareto_rows(study, rows),
        best=best,
        confirmed=confirmed,
        best_config={} if best is None else _own_fields(trial_uri(uri, best.trial), config),
        importances=parameter_importances(study),
        next_hour=next_hour(study),
        space_name=space_name(open_storage(uri), source),
        space_source=source,
        space_sha256=str(study.user_attrs[SPACE_SHA256]),
        started=min((t.datetime_start for t in trials if t.datetime_start is not None), default=None),
        ended=max((t.datetime_complete for t in trials if t.datetime_complete is not None), default=None),
    )


def _trial(trial: FrozenTrial) -> TrialData:
    records = epoch_records(trial)
    kept = kept_levels(records)
    best = headline(kept) if kept else None
    return TrialData(
        number=trial.number,
        outcome=_outcome(trial),
        settings=dict(trial.params),
        distributions=dict(trial.distributions),
        curve=tuple(
            (epoch, result.quality)
            for epoch, record in records.items()
            for result in record.levels
            if best is not None and result.network == best.network
        ),
        quality=best.quality if best is not None and math.isfinite(best.quality) else None,
        seconds=trial_seconds(trial, records),
        start_up_s=trial.user_attrs.get(START_UP),
        cause=cause_of(trial),
        same_as=trial.user_attrs.get(SAME_AS),
        inherits=trial.user_attrs.get(INHERITS),
        exploits=recorded_exploits(trial, records),
        is_default=bool(trial.user_attrs.get(IS_DEFAULT, False)),
    )


def _outcome(trial: FrozenTrial) -> Outcome:
    if is_infeasible(trial):
        return "INFEASIBLE"
    if SAME_AS in trial.user_attrs:
        return "REPEATED"
    outcomes: dict[TrialState, Outcome] = {
        TrialState.COMPLETE: "COMPLETE",
        TrialState.PRUNED: "PRUNED",
        TrialState.FAIL: "FAIL",
        TrialState.RUNNING: "RUNNING",
    }
    return outcomes[trial.state]


def _own_fields(run_uri: str, base: RunConfig) -> dict[str, Any]:
    """Empty where the trial's folder has been deleted."""
    run = RunDir(run_uri)
    if not run.exists():
        return {}
    default, given = flatten(RunConfig()), flatten(base)
    return {
        field: value
        for field, value in flatten(stored_config(run.read_config(), run.uri)).items()
        if value != default[field]
        and not field.startswith(("out", "name", "tune."))
        # What the sweep's machine decided may not suit another one.
        and not (field.startswith("scale.") and given[field] == AUTO)
        # The trials of a population keep what others may take over.
        and not (field == "train.keep_checkpoints" and base.tune.scheduler == "pbt")
    }
