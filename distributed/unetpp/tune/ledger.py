"""A sweep's bookkeeping, without Ray: which trial is next, what it reported, when it and the sweep end.

The study in its storage is the only truth. A resumed sweep opens it again, continues the trials that were
running from their checkpoints, and replays what they reported into the early-stopping rule.
"""

import logging
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.trial import TrialState

from unetpp.config import Hardware, RunConfig, replace, resolve
from unetpp.core.errors import ConfigError
from unetpp.core.manifest import Manifest
from unetpp.models.cost import count_cost
from unetpp.tune.apply import apply
from unetpp.tune.budget import budget_of
from unetpp.tune.feasibility import check
from unetpp.tune.leaderboard import LeaderRow, best_row, leaderboard
from unetpp.tune.levels import NetworkCost, level_results
from unetpp.tune.record import (
    RUN,
    SECONDS,
    START_UP,
    epochs_of,
    finish,
    own_trials,
    record_epoch,
    record_note,
)
from unetpp.tune.rungs import Decision, Report, build_rule
from unetpp.tune.space import Space
from unetpp.tune.sweep_dir import trial_uri

__all__ = ["Ledger", "SweepSetup", "TrialSpec"]

logger = logging.getLogger(__name__)

_RAN = "ran_seconds"
"""The study's user attribute with the time its sweep has run, kept for a resume."""


@dataclass(frozen=True)
class SweepSetup:
    """What does not change during a sweep."""

    sweep_uri: str
    base: RunConfig
    space: Space
    manifest: Manifest
    hardware: Hardware
    memory_bytes: int
    """Of the device of one worker."""


@dataclass(frozen=True)
class TrialSpec:
    """A trial to launch: every `auto` decided, `out` is its run folder."""

    number: int
    config: RunConfig


@dataclass
class _Live:
    config: RunConfig
    costs: Mapping[int, NetworkCost]
    launched_s: float = field(default_factory=time.monotonic)
    finished: bool = False
    stopped: bool = False


class Ledger:
    """Talks to the study; used by one process, the sweep's driver."""

    def __init__(self, setup: SweepSetup, study: optuna.Study) -> None:
        self.setup, self.study = setup, study
        self._rule = build_rule(setup.base.tune, setup.base.train.epochs)
        self._budget = budget_of(setup.base.tune)
        self._live: dict[int, _Live] = {}
        # As if the sweep had begun so much earlier: pauses before a resume cost no budget.
        self._started_s = time.monotonic() - float(study.user_attrs.get(_RAN, 0.0))
        trials = own_trials(study)
        self._unfinished = deque(t.number for t in trials if t.state == TrialState.RUNNING)
        # A trial that continues reports its earlier epochs again.
        ended = [t for t in trials if t.state != TrialState.RUNNING]
        self._earlier_seconds = sum(float(t.user_attrs.get(SECONDS, 0.0)) for t in ended)
        self._seconds: dict[int, float] = {}
        self._rule.replay(
            Report(trial.number, epoch, levels)
            for trial in ended
            for epoch, levels in epochs_of(trial).items()
        )

    def next_trial(self) -> TrialSpec | None:
        """The next trial to launch, or None if the budget allows no other.

        Trials that cannot run are recorded as infeasible and passed over.
        """
        while True:
            if self._unfinished:
                number = self._unfinished.popleft()
                logger.info("trial %d continues from its last checkpoint", number)
                suggestion: Any = optuna.trial.FixedTrial(self.study.trials[number].params)
            else:
                if self._launched() >= self.setup.base.tune.trials or self.exhausted():
                    return None
                suggestion = self.study.ask()
                number = suggestion.number
            spec = self._spec(number, suggestion)
            if spec is not None:
                return spec

    def report(self, number: int, metrics: Mapping[str, Any]) -> Decision:
        """Record an epoch of a trial and decide whether it goes on."""
        live = self._live[number]
        live.finished = bool(metrics["finished"])
        self.study.set_user_attr(_RAN, round(self._ran_s(), 3))
        self._add_seconds(number, float(metrics["seconds"]))
        if "val" in metrics:
            scored = metrics["val"]["levels"]
            latency = {int(level): float(values["latency_s"]) for level, values in scored.items()}
            levels = level_results(metrics, self.setup.base.tune.metric, live.costs, latency)
            record_epoch(self.study, number, int(metrics["epoch"]), levels)
            decision = self._rule.decide(number, int(metrics["epoch"]), levels)
            live.stopped = decision == "stop" and not live.finished
        if not live.finished and self.exhausted() is not None:
            live.stopped = True
        return "stop" if live.stopped else "continue"

    def end(self, number: int, error: str | None = None) -> None:
        """Record how a trial ended; one that neither finished nor was stopped stays open for a resume."""
        live = self._live.pop(number)
        if error is not None:
            finish(self.study, number, "FAIL", cause=error)
        elif live.finished:
            finish(self.study, number, "COMPLETE")
        elif live.stopped:
            finish(self.study, number, "PRUNED", cause=self.exhausted() or "")

    def exhausted(self) -> str | None:
        """Why the sweep ends before its number of trials, or None."""
        best = self.best()
        workers = self.setup.base.max_workers if self.setup.base.scale.gpu else 0
        gpu_seconds = workers * (self._earlier_seconds + sum(self._seconds.values()))
        # The number of trials is counted where they are launched: running ones count there.
        return self._budget.exhausted(self._ran_s(), -1, gpu_seconds, None if best is None else best.quality)

    def best(self) -> LeaderRow | None:
        """The best (trial, level) so far."""
        return best_row(leaderboard(self.study))

    @property
    def interrupted(self) -> bool:
        """Whether trials are open although nothing runs them."""
        return any(trial.state == TrialState.RUNNING for trial in own_trials(self.study))

    def _ran_s(self) -> float:
        return time.monotonic() - self._started_s

    def _add_seconds(self, number: int, seconds: float) -> None:
        if number not in self._seconds:
            # A trial that continues reports its earlier epochs at once: nothing was measured then.
            start_up_s = time.monotonic() - self._live[number].launched_s - seconds
            if start_up_s > 0:
                record_note(self.study, number, START_UP, round(start_up_s, 3))
        self._seconds[number] = self._seconds.get(number, 0.0) + seconds
        record_note(self.study, number, SECONDS, round(self._seconds[number], 3))

    def _launched(self) -> int:
        return sum(trial.state != TrialState.WAITING for trial in own_trials(self.study))

    def _spec(self, number: int, suggestion: Any) -> TrialSpec | None:
        setup = self.setup
        try:
            config = apply(setup.base, setup.space(suggestion))
            out = trial_uri(setup.sweep_uri, number)
            config, _ = resolve(replace(config, {"out": out, "name": ""}), setup.manifest, setup.hardware)
        except (optuna.TrialPruned, ConfigError) as error:
            finish(self.study, number, "INFEASIBLE", cause=str(error) or "the space gave the trial up")
            return None
        shortage = check(config, setup.memory_bytes)
        if shortage is not None:
            finish(self.study, number, "INFEASIBLE", cause=shortage.reason, violation=shortage.violation)
            return None
        record_note(self.study, number, RUN, config.run_uri)
        costs = count_cost(config.model, int(config.data.crop))
        self._live[number] = _Live(config, costs)
        return TrialSpec(number, config)
