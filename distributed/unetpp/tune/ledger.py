"""A sweep's bookkeeping, without Ray: which trial is next, what it reported, when it and the sweep end.

The study in its storage is the only truth. A resumed sweep opens it again, continues the trials that were
running from their checkpoints, and replays what they reported into the early-stopping rule.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.trial import TrialState

from unetpp.config import Decision, Hardware, RunConfig, replace, resolve
from unetpp.core.errors import ConfigError
from unetpp.core.manifest import Manifest
from unetpp.core.rundir import RunDir
from unetpp.core.trial_folders import trial_uri
from unetpp.models.cost import count_cost
from unetpp.tune.apply import apply
from unetpp.tune.budget import budget_of
from unetpp.tune.feasibility import check
from unetpp.tune.leaderboard import LeaderRow, best_row, leaderboard
from unetpp.tune.levels import NetworkCost, level_results
from unetpp.tune.publish import Publisher, Unpublished
from unetpp.tune.record import (
    RUN,
    SECONDS,
    START_UP,
    Outcome,
    epochs_of,
    finish,
    own_trials,
    record_epoch,
    record_note,
)
from unetpp.tune.rungs import Report, Verdict, build_rule, replay
from unetpp.tune.space import Space

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
    """That one worker may plan with."""

    def resolved_base(self) -> RunConfig:
        """The base configuration with every `auto` decided."""
        return resolve(self.base, self.manifest, self.hardware)[0]


@dataclass(frozen=True)
class TrialSpec:
    """A trial to launch: every `auto` decided, `out` is its run folder."""

    number: int
    config: RunConfig
    decisions: tuple[Decision, ...]


@dataclass
class _Live:
    config: RunConfig
    costs: Mapping[int, NetworkCost]
    launched_s: float = field(default_factory=time.monotonic)
    seconds: dict[int, float] = field(default_factory=dict)
    """By epoch: a trial that continues reports its earlier epochs again."""
    finished: bool = False
    stopped: bool = False


class _RefusedError(Exception):
    """A trial cannot be launched."""

    def __init__(self, outcome: Outcome, cause: str, violation: float = 1.0) -> None:
        super().__init__(cause)
        self.outcome, self.violation = outcome, violation


class Ledger:
    """Talks to the study; used by one process, the sweep's driver."""

    def __init__(self, setup: SweepSetup, study: optuna.Study, publisher: Publisher | None = None) -> None:
        self.setup, self.study = setup, study
        self._publisher = publisher or Unpublished()
        self._rule = build_rule(setup.base.tune, setup.base.train.epochs)
        self._budget = budget_of(setup.base.tune)
        self._live: dict[int, _Live] = {}
        self._taken: set[int] = set()
        # As if the sweep had begun so much earlier: pauses before a resume cost no budget.
        self._started_s = time.monotonic() - float(study.user_attrs.get(_RAN, 0.0))
        self._gpus = _trial_gpus(setup.resolved_base())
        ended = [trial for trial in own_trials(study) if trial.state != TrialState.RUNNING]
        self._ended_seconds = sum(float(trial.user_attrs.get(SECONDS, 0.0)) for trial in ended)
        replay(
            self._rule,
            (Report(t.number, epoch, levels) for t in ended for epoch, levels in epochs_of(t).items()),
        )

    def next_trial(self) -> TrialSpec | None:
        """The next trial to launch, or None if the budget allows no other.

        Trials that cannot run are recorded as infeasible, ones whose space raises as failed; both are passed
        over.
        """
        while True:
            suggestion = self._unfinished()
            if suggestion is None:
                if self._launched() >= self.setup.base.tune.trials or self.exhausted():
                    return None
                suggestion = self.study.ask()
            self._taken.add(suggestion.number)
            spec = self._spec(suggestion)
            if spec is not None:
                self._publisher.now()
                return spec

    def report(self, number: int, metrics: Mapping[str, Any]) -> Verdict:
        """Record an epoch of a trial and decide whether it goes on."""
        live = self._live[number]
        live.finished = bool(metrics["finished"])
        self.study.set_user_attr(_RAN, round(self._ran_s(), 3))
        self._add_seconds(number, int(metrics["epoch"]), float(metrics["seconds"]))
        if "val" in metrics:
            scored = metrics["val"]["levels"]
            latency = {int(level): float(values["latency_s"]) for level, values in scored.items()}
            levels = level_results(metrics, self.setup.base.tune.metric, live.costs, latency)
            record_epoch(self.study, number, int(metrics["epoch"]), levels)
            self._publisher.soon()
            decision = self._rule.decide(number, int(metrics["epoch"]), levels)
            live.stopped = decision == "stop" and not live.finished
        if not live.finished and self.exhausted() is not None:
            live.stopped = True
        return "stop" if live.stopped else "continue"

    def end(self, number: int, error: str | None = None) -> None:
        """Record how a trial ended; one that neither finished nor was stopped stays open for a resume."""
        live = self._live.pop(number)
        self._ended_seconds += sum(live.seconds.values())
        if error is not None:
            logger.warning("trial %d failed: %s", number, error)
            finish(self.study, number, "FAIL", cause=error)
        elif live.finished:
            finish(self.study, number, "COMPLETE")
        elif live.stopped:
            finish(self.study, number, "PRUNED", cause=self.exhausted() or "")
        self._publisher.now()

    def exhausted(self) -> str | None:
        """Why the sweep ends before its number of trials, or None."""
        best = self.best()
        quality = None if best is None else best.quality
        # The number of trials is counted where they are launched: running ones count there.
        return self._budget.exhausted(self._ran_s(), -1, self.gpu_seconds, quality)

    def best(self) -> LeaderRow | None:
        """The best (trial, level) so far."""
        return best_row(leaderboard(self.study))

    @property
    def trial_seconds(self) -> float:
        """Training and validation time of all trials' epochs so far."""
        live_seconds = sum(sum(live.seconds.values()) for live in self._live.values())
        return self._ended_seconds + live_seconds

    @property
    def gpu_seconds(self) -> float:
        """The same times the GPUs of a trial; 0 without any."""
        return self._gpus * self.trial_seconds

    @property
    def interrupted(self) -> bool:
        """Whether trials are open although nothing runs them."""
        return any(trial.state == TrialState.RUNNING for trial in own_trials(self.study))

    def _ran_s(self) -> float:
        return time.monotonic() - self._started_s

    def _add_seconds(self, number: int, epoch: int, seconds: float) -> None:
        live = self._live[number]
        if not live.seconds:
            # A trial that continues reports its earlier epochs at once: nothing was measured then.
            start_up_s = time.monotonic() - live.launched_s - seconds
            if start_up_s > 0:
                record_note(self.study, number, START_UP, round(start_up_s, 3))
        live.seconds[epoch] = seconds
        record_note(self.study, number, SECONDS, round(sum(live.seconds.values()), 3))

    def _unfinished(self) -> optuna.Trial | None:
        """A trial that nothing runs: its sweep was killed, or the answer that added it was lost."""
        for trial in own_trials(self.study):
            if trial.state == TrialState.RUNNING and trial.number not in self._taken:
                logger.info("trial %d continues from its last checkpoint", trial.number)
                return optuna.Trial(self.study, trial._trial_id)
        return None

    def _launched(self) -> int:
        return sum(trial.state != TrialState.WAITING for trial in own_trials(self.study))

    def _spec(self, suggestion: optuna.Trial) -> TrialSpec | None:
        number = suggestion.number
        try:
            config, decisions = self._plan(suggestion)
        except _RefusedError as refused:
            logger.warning("trial %d is not launched, %s: %s", number, refused.outcome.lower(), refused)
            finish(self.study, number, refused.outcome, cause=str(refused), violation=refused.violation)
            return None
        record_note(self.study, number, RUN, config.run_uri)
        self._live[number] = _Live(config, count_cost(config.model, int(config.data.crop)))
        return TrialSpec(number, config, decisions)

    def _plan(self, suggestion: optuna.Trial) -> tuple[RunConfig, tuple[Decision, ...]]:
        setup, out = self.setup, trial_uri(self.setup.sweep_uri, suggestion.number)
        try:
            values = setup.space(suggestion)
        except optuna.TrialPruned as pruned:
            raise _RefusedError("INFEASIBLE", str(pruned) or "the space gave the trial up") from pruned
        except ConfigError as error:
            raise _RefusedError("FAIL", str(error)) from error
        try:
            config = replace(apply(setup.base, values), {"out": out, "name": ""})
            config, decisions = resolve(config, setup.manifest, setup.hardware)
        except ConfigError as error:
            raise _RefusedError("INFEASIBLE", str(error)) from error
        config = _as_started(config)
        shortage = check(config, setup.memory_bytes)
        if shortage is not None:
            raise _RefusedError("INFEASIBLE", shortage.reason, shortage.violation)
        return config, decisions


def _as_started(config: RunConfig) -> RunConfig:
    """The configuration of the run, if there is one: another machine may decide an `auto` differently."""
    run = RunDir(config.run_uri)
    if not run.exists():
        return config
    kept = {"scale": config.scale, "tune": config.tune, "out": config.out, "name": config.name}
    return RunConfig.model_validate(run.read_config()).model_copy(update=kept)


def _trial_gpus(decided: RunConfig) -> float:
    return decided.max_workers * float(decided.scale.gpus_per_worker) if decided.scale.gpu else 0.0
