"""A study's results, one row per (trial, level)."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import optuna
from optuna.trial import FrozenTrial, TrialState

from unetpp.config.dilations import Network
from unetpp.config.sections.tune import ObjectiveName
from unetpp.tuning.results.pareto import pareto_front
from unetpp.tuning.study.epochs import epoch_records, kept_levels
from unetpp.tuning.study.exploits import Exploit, recorded_exploits
from unetpp.tuning.study.levels import LevelResult
from unetpp.tuning.study.record import INHERITS, NO_QUALITY, SAME_AS, cause_of, is_infeasible, own_trials
from unetpp.tuning.study.study import objectives_of

__all__ = [
    "LeaderRow",
    "best_row",
    "complete_rows",
    "failure_causes",
    "in_order",
    "leaderboard",
    "pareto_rows",
    "sharing_rows",
    "sweep_summary",
    "trial_counts",
    "trial_rows",
]

_FRONT: tuple[ObjectiveName, ...] = ("quality", "latency")
"""Axes of the front where the study itself has one objective."""

_NUMBER = re.compile(r"\d+(\.\d+)?(e[+-]?\d+)?")

RowState = Literal["COMPLETE", "PRUNED", "RUNNING"]
_ROW_STATES: Mapping[TrialState, RowState] = {
    TrialState.COMPLETE: "COMPLETE",
    TrialState.PRUNED: "PRUNED",
    TrialState.RUNNING: "RUNNING",
}


@dataclass(frozen=True, kw_only=True)
class LeaderRow(LevelResult):
    """One network of one trial, as its best checkpoint has it."""

    trial: int
    state: RowState
    settings: dict[str, Any]
    """The trial's parameters."""
    inherits: int | None = None
    """The trial whose weights this one began with, in place of random ones."""
    exploits: tuple[Exploit, ...] = ()
    """Whose weights it went on with, each time with other weights of the loss than its settings say."""


def leaderboard(study: optuna.Study) -> list[LeaderRow]:
    """Rows of all trials with a result, best quality first; of equals the shallower, then the earlier.

    A pruned trial's row is what it had reached: its checkpoint can be used like any other.
    """
    return in_order(
        row for trial in own_trials(study) if trial.state in _ROW_STATES for row in _rows_of(trial)
    )


def _rows_of(trial: FrozenTrial) -> list[LeaderRow]:
    records = epoch_records(trial)
    rows = trial_rows(trial.number, _ROW_STATES[trial.state], dict(trial.params), kept_levels(records))
    inherits, exploits = trial.user_attrs.get(INHERITS), recorded_exploits(trial, records)
    return [replace(row, inherits=inherits, exploits=exploits) for row in rows]


def in_order(rows: Iterable[LeaderRow]) -> list[LeaderRow]:
    """Best quality first; of equals the shallower, then the earlier."""
    return sorted(rows, key=lambda row: (-row.quality, row.level, row.trial))


def trial_rows(
    number: int,
    state: RowState,
    settings: dict[str, Any],
    kept: Sequence[LevelResult],
) -> list[LeaderRow]:
    """One trial's rows in order; a level whose quality is not finite has none."""
    return in_order(
        LeaderRow(**vars(level), trial=number, state=state, settings=settings)
        for level in kept
        if math.isfinite(level.quality)
    )


def best_row(rows: Sequence[LeaderRow]) -> LeaderRow | None:
    """The first row of a complete trial; of any other trial only where none is complete."""
    complete = [row for row in rows if row.state == "COMPLETE"]
    return next(iter(complete or rows), None)


def complete_rows(rows: Iterable[LeaderRow]) -> list[LeaderRow]:
    """The best row of each complete trial; rows are best first, and so are these.

    Of a trial whose weights several vectors of dilations share, every row: each is another network.
    """
    best: dict[tuple[int, Network | None], LeaderRow] = {}
    for row in rows:
        if row.state == "COMPLETE":
            best.setdefault((row.trial, None if row.dilation is None else row.network), row)
    return list(best.values())


def pareto_rows(study: optuna.Study, rows: Sequence[LeaderRow]) -> list[LeaderRow]:
    """Rows that no other dominates in the study's objectives (of one: in quality and latency)."""
    objectives = objectives_of(study)
    return pareto_front(rows, objectives if len(objectives) > 1 else _FRONT)


def trial_counts(study: optuna.Study) -> dict[str, int]:
    """complete, pruned and failed trials; `infeasible` ones are among the pruned.

    `repeated`, where there are any: of the complete and pruned, those given the result of an earlier one.
    """
    trials = own_trials(study)
    states = Counter(trial.state for trial in trials)
    repeated = sum(SAME_AS in trial.user_attrs for trial in trials)
    return {
        "complete": states[TrialState.COMPLETE],
        "pruned": states[TrialState.PRUNED],
        "failed": states[TrialState.FAIL],
        "infeasible": sum(is_infeasible(trial) for trial in trials),
        **({"repeated": repeated} if repeated else {}),
    }


def failure_causes(study: optuna.Study) -> list[tuple[str, int]]:
    """Why trials have no result, with the number of trials, the most frequent first.

    Causes that differ in their numbers only are one, shown as the first trial has it.
    """
    shown: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for trial in own_trials(study):
        if trial.state == TrialState.FAIL or is_infeasible(trial):
            cause = cause_of(trial) or "unknown"
        elif trial.state == TrialState.PRUNED and (kept := kept_levels(epoch_records(trial))):
            if any(math.isfinite(level.quality) for level in kept):
                continue
            cause = NO_QUALITY
        else:
            continue
        kind = _NUMBER.sub("#", cause)
        shown.setdefault(kind, cause)
        counts[kind] += 1
    return [(shown[kind], count) for kind, count in counts.most_common()]


def sweep_summary(study: optuna.Study, best: LeaderRow | None = None) -> dict[str, Any]:
    """The result of a sweep as one JSON object.

    Args:
        study: the sweep's.
        best: the row that is called best; by default see `best_row`.

    Returns:
        trials: see `trial_counts`; best: {trial, level, value, params} or None; pareto: the same with
        latency_s, num_params and macs, by rising quality. Where several vectors of dilations share the
        weights of a trial each has `dilation` too, and candidates: all of them, best first. `inherits` is
        the trial whose weights one began with, where it did. Where a trial went on with another one's, `loss`
        has the fields of its loss that have changed since it began, and exploits {trial, epoch, donor,
        before, after} of every time, see `Exploit.to_json`.
    """
    rows = leaderboard(study)
    best = best or best_row(rows)
    return {
        "trials": trial_counts(study),
        "best": None if best is None else _json(best),
        "pareto": [_priced(row) for row in reversed(pareto_rows(study, rows))],
        **({"candidates": [_priced(row) for row in shared]} if (shared := sharing_rows(rows)) else {}),
        **({"exploits": exploits} if (exploits := _exploits(study)) else {}),
    }


def _exploits(study: optuna.Study) -> list[dict[str, Any]]:
    return [
        {"trial": trial.number, **found.to_json()}
        for trial in own_trials(study)
        for found in recorded_exploits(trial, epoch_records(trial))
    ]


def sharing_rows(rows: Iterable[LeaderRow]) -> list[LeaderRow]:
    """Rows whose trial's weights several vectors of dilations share, in their order: a sweep's candidates."""
    return [row for row in rows if row.dilation is not None]


def _priced(row: LeaderRow) -> dict[str, Any]:
    return _json(row) | {"latency_s": row.latency_s, "num_params": row.params, "macs": row.macs}


def _json(row: LeaderRow) -> dict[str, Any]:
    dilation = {} if row.dilation is None else {"dilation": list(row.dilation)}
    inherits = {} if row.inherits is None else {"inherits": row.inherits}
    found = {"trial": row.trial, "level": row.level, **dilation, "value": row.quality, "params": row.settings}
    return found | inherits | ({"loss": _loss_now(row)} if row.exploits else {})


def _loss_now(row: LeaderRow) -> dict[str, Any]:
    """Fields of a trial's loss that are others than at its start."""
    first, last = row.exploits[0].before, row.exploits[-1].after
    return {name: value for name, value in last.items() if first[name] != value}
