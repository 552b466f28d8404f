"""Running totals of a sweep (best, counts, time), kept report by report; the study is read once."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from optuna.trial import FrozenTrial, TrialState

from unetpp.tuning.results.leaderboard import LeaderRow, best_row, in_order, trial_rows
from unetpp.tuning.study.epochs import EpochRecord, kept_levels, trial_seconds
from unetpp.tuning.study.levels import LevelResult
from unetpp.tuning.study.record import Outcome, is_infeasible

__all__ = ["STATES", "Standing", "Standings"]

Standing = Literal["running", "waiting", "complete", "pruned", "failed", "infeasible"]
STATES: tuple[Standing, ...] = ("running", "waiting", "complete", "pruned", "failed", "infeasible")

_ENDED: Mapping[TrialState, Outcome] = {
    TrialState.COMPLETE: "COMPLETE",
    TrialState.PRUNED: "PRUNED",
    TrialState.FAIL: "FAIL",
}
_BY_OUTCOME: Mapping[Outcome, Standing] = {
    "COMPLETE": "complete",
    "PRUNED": "pruned",
    "FAIL": "failed",
    "INFEASIBLE": "infeasible",
}


class Standings:
    """Counts, the best result and the time of a sweep's trials; asking costs what the running ones cost."""

    def __init__(self) -> None:
        self.seconds = 0.0
        """Training and validation time of all epochs."""
        self._states: dict[int, Standing] = {}
        self._counts: Counter[Standing] = Counter()
        self._running: dict[int, LeaderRow] = {}
        """The best row of each."""
        self._complete: LeaderRow | None = None
        self._pruned: LeaderRow | None = None

    def add(self, trial: FrozenTrial, records: Mapping[int, EpochRecord]) -> None:
        """A trial that the study has already, with its epochs."""
        seconds = trial_seconds(trial, records)
        self.epoch(trial.number, dict(trial.params), kept_levels(records), seconds)
        if trial.state in _ENDED:
            self.ended(trial.number, "INFEASIBLE" if is_infeasible(trial) else _ENDED[trial.state])
        else:
            self._set(trial.number, "waiting" if trial.state == TrialState.WAITING else "running")

    def launched(self, number: int) -> None:
        """A trial runs."""
        self._set(number, "running")

    def epoch(
        self, number: int, settings: dict[str, Any], kept: Sequence[LevelResult], seconds: float
    ) -> None:
        """A running trial has trained so much longer, and its run keeps these results."""
        self.seconds += seconds
        rows = trial_rows(number, "RUNNING", settings, kept)
        if rows:
            self._running[number] = rows[0]
        else:
            self._running.pop(number, None)

    def ended(self, number: int, outcome: Outcome) -> None:
        """A trial runs no more."""
        self._set(number, _BY_OUTCOME[outcome])
        row = self._running.pop(number, None)
        if row is None:
            return
        if outcome == "COMPLETE":
            self._complete = _better(self._complete, replace(row, state="COMPLETE"))
        elif outcome == "PRUNED":
            self._pruned = _better(self._pruned, replace(row, state="PRUNED"))

    @property
    def best(self) -> LeaderRow | None:
        """See `best_row`."""
        ended = [row for row in (self._complete, self._pruned) if row is not None]
        return best_row(in_order([*ended, *self._running.values()]))

    def ended_after(self, trial: int) -> int:
        """Trials that began after this one and have ended, with a result or repeating one."""
        return sum(
            state in ("complete", "pruned") and number > trial for number, state in self._states.items()
        )

    @property
    def counts(self) -> dict[Standing, int]:
        """Number of trials in each state, absent ones included."""
        return {state: self._counts[state] for state in STATES}

    @property
    def started(self) -> int:
        """Trials that are not waiting."""
        return self._counts.total() - self._counts["waiting"]

    def _set(self, number: int, state: Standing) -> None:
        if number in self._states:
            self._counts[self._states[number]] -= 1
        self._states[number] = state
        self._counts[state] += 1


def _better(one: LeaderRow | None, other: LeaderRow) -> LeaderRow:
    return other if one is None else in_order([one, other])[0]
