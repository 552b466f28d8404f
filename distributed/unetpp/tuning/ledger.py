"""A sweep's bookkeeping, without Ray: which trial is next, what it reported, when it and the sweep end.

The study in its storage is the only truth. A resumed sweep opens it again, continues the trials that were
running from their checkpoints, and enters what was reported and decided into the early-stopping rule.

The study is read as a whole at the start and when a trial is asked for. A report reads nothing: what it needs
to know is kept here, and it writes what is new.
"""

import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.trial import TrialState

from unetpp.compat.optuna import continued_trial
from unetpp.config import Decision, RunConfig, replace, resolve
from unetpp.config.dilations import Network, scored_networks
from unetpp.config.planning.feasibility import check
from unetpp.config.stored import stored_config
from unetpp.core.errors import ConfigError
from unetpp.core.places import trial_uri
from unetpp.core.rundir import RunDir
from unetpp.models.cost import count_cost, network_signatures
from unetpp.tuning.inherit import Inheritance
from unetpp.tuning.planning.budget import budget_of
from unetpp.tuning.population.members import ALL_CHECKPOINTS, Members
from unetpp.tuning.population.takeover import Takeover
from unetpp.tuning.repeats import Repeats, planned_digest
from unetpp.tuning.results.leaderboard import LeaderRow
from unetpp.tuning.results.standings import Standings
from unetpp.tuning.setup import SweepSetup
from unetpp.tuning.space.apply import apply
from unetpp.tuning.stopping import build_rule
from unetpp.tuning.study.epochs import EpochRecord, Verdict, epoch_records
from unetpp.tuning.study.levels import (
    LevelResult,
    NetworkCost,
    SharedLatency,
    level_results,
)
from unetpp.tuning.study.publish import Publisher, Unpublished
from unetpp.tuning.study.record import (
    CONFIG_SHA256,
    INHERITS,
    RAN,
    RUN,
    START_UP,
    Outcome,
    TrialRecord,
    own_trials,
)

__all__ = ["Ledger", "TrialSpec", "trial_gpus"]

logger = logging.getLogger(__name__)

_RAN_EVERY_S = 10.0
"""A killed driver's sweep forgets at most so much of it."""


@dataclass(frozen=True)
class TrialSpec:
    """A trial to launch: every `auto` decided, `out` is its run folder."""

    number: int
    config: RunConfig
    decisions: tuple[Decision, ...]
    takeover: Takeover | None = None
    """Whose weights it goes on with, where it does."""


@dataclass
class _Live:
    record: TrialRecord
    costs: Mapping[int, NetworkCost]
    signatures: Mapping[Network, str]
    """Of every network."""
    taken_over: int = 0
    """The epoch after which it went on with another trial's weights when it was launched; 0 is none."""
    launched_s: float = field(default_factory=time.monotonic)
    reported: bool = False
    finished: bool = False
    stopped: bool = False
    pauses: bool = False
    """It ends here to be launched again, with another trial's weights."""


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
        self._rule = build_rule(setup.base.tune, setup.base.train)
        self._budget = budget_of(setup.base.tune)
        self._latency = SharedLatency(study)
        self._live: dict[int, _Live] = {}
        self._taken: set[int] = set()
        self._failed: set[int] = set()
        # As if the sweep had begun so much earlier: pauses before a resume cost no budget.
        self._started_s = time.monotonic() - float(study.user_attrs.get(RAN, 0.0))
        self._ran_kept_s = -math.inf
        self._gpus = trial_gpus(setup.resolved_base())
        trials = own_trials(study)
        self._repeats = Repeats(trials)
        self._inheritance = Inheritance(setup.sweep_uri, trials) if setup.base.tune.inherit else None
        self._members = _members(setup)
        self.standings = Standings()
        for trial in trials:
            records = epoch_records(trial)
            self.standings.add(trial, records)
            if self._members is not None:
                self._members.add(trial, records)
            for epoch, record in records.items():
                if record.levels:
                    self._rule.enter(trial.number, epoch, record.levels, record.verdict)

    def next_trial(self) -> TrialSpec | None:
        """The next trial to launch, or None if the budget allows no other.

        Trials that cannot run are recorded as infeasible, ones whose space raises as failed; both are passed
        over.
        """
        while True:
            suggestion = self._unfinished()
            if suggestion is None:
                if self.standings.started >= self.setup.base.tune.trials or self.exhausted():
                    return None
                suggestion = self.study.ask()
            self.standings.launched(suggestion.number)
            self._taken.add(suggestion.number)
            spec = self._spec(suggestion)
            if spec is not None:
                self._publisher.now()
                return spec

    def report(self, number: int, metrics: Mapping[str, Any]) -> Verdict:
        """Record an epoch of a trial and decide whether it goes on.

        A trial that continues reports its earlier epochs again: what was recorded and decided stands.
        """
        live, epoch = self._live[number], int(metrics["epoch"])
        live.finished = bool(metrics["finished"])
        self._note_start_up(live, float(metrics["seconds"]))
        if epoch not in live.record.epochs:
            self._record(live, epoch, metrics)
            self._publisher.soon()
        self._keep_ran_s()
        recorded = live.record.epochs.get(epoch)
        # Without a record the study has it that the trial has ended: somebody else ended it.
        stops = recorded is None or recorded.verdict == "stop" or self.exhausted() is not None
        live.stopped = stops and not live.finished
        taken_over = recorded is not None and recorded.verdict == "exploit" and epoch > live.taken_over
        live.pauses = taken_over and not live.stopped
        return "stop" if live.stopped or live.pauses else "continue"

    def end(self, number: int, error: str | None = None) -> None:
        """Record how a trial ended; one that neither finished nor was stopped stays open for a resume."""
        live = self._live.pop(number)
        self._keep_ran_s(now=True)
        if error is not None:
            logger.warning("trial %d failed: %s", number, error)
            self._failed.add(number)
            self._finish(live.record, "FAIL", error)
        elif live.finished:
            self._finish(live.record, "COMPLETE")
        elif live.stopped:
            self._finish(live.record, "PRUNED", self.exhausted() or "")
        elif live.pauses:
            self._taken.discard(number)
        self._end_repeats(number)
        self._publisher.now()

    def has_failed(self, number: int) -> bool:
        """Whether the trial ended here and failed."""
        return number in self._failed

    def exhausted(self) -> str | None:
        """Why the sweep ends before its number of trials, or None."""
        best = self.best()
        quality = None if best is None else best.quality
        since_best = self.standings.ended_after(best.trial) if best and self._budget.patience else 0
        return self._budget.exhausted(self._ran_s(), self.gpu_seconds, quality, since_best)

    def best(self) -> LeaderRow | None:
        """The best (trial, level) so far."""
        return self.standings.best

    @property
    def trial_seconds(self) -> float:
        """Training and validation time of all trials' epochs so far."""
        return self.standings.seconds

    @property
    def gpu_seconds(self) -> float:
        """The same times the GPUs of a trial; 0 without any."""
        return self._gpus * self.trial_seconds

    @property
    def is_waiting(self) -> bool:
        """Whether a trial may have to be launched once one that runs has ended.

        One that waits for its result, which is trained if there is none, or the same with another's weights.
        """
        if self._members is not None:
            return bool(self._live)
        return any(self._repeats.has_waiting(number) for number in self._live)

    def is_paused(self, number: int) -> bool:
        """Whether a trial that has ended is to be launched again, with another one's weights."""
        return self._members is not None and number not in self._taken

    @property
    def interrupted(self) -> bool:
        """Whether trials are open although nothing runs them."""
        return any(trial.state == TrialState.RUNNING for trial in own_trials(self.study))

    def _ran_s(self) -> float:
        return time.monotonic() - self._started_s

    def _keep_ran_s(self, *, now: bool = False) -> None:
        """Write how long the sweep has run, now and then."""
        ran_s = self._ran_s()
        if now or ran_s - self._ran_kept_s >= _RAN_EVERY_S:
            self.study.set_user_attr(RAN, round(ran_s, 3))
            self._ran_kept_s = ran_s

    def _note_start_up(self, live: _Live, seconds: float) -> None:
        # A trial that continues reports its earlier epochs at once: nothing was measured then.
        start_up_s = time.monotonic() - live.launched_s - seconds
        if not live.reported and start_up_s > 0:
            live.record.note(START_UP, round(start_up_s, 3))
        live.reported = True

    def _record(self, live: _Live, epoch: int, metrics: Mapping[str, Any]) -> None:
        """Decide about an epoch and record both at once: a killed driver leaves neither or both."""
        record, levels, seconds = live.record, self._levels(live, metrics), float(metrics["seconds"])
        verdict = self._rule.decide(record.number, epoch, levels) if levels else "continue"
        if self._members is not None and levels:
            may_exploit = not live.finished and self.exhausted() is None
            verdict = self._members.decide(record, epoch, levels, may_exploit=may_exploit)
        record.epoch(epoch, EpochRecord(levels, seconds, verdict))
        self.standings.epoch(record.number, record.params, record.kept, seconds)

    def _levels(self, live: _Live, metrics: Mapping[str, Any]) -> list[LevelResult]:
        """The epoch's results; equal networks have one latency, whoever measures it."""
        if "val" not in metrics:
            return []
        device = str(metrics["val"].get("device", ""))
        latency_s = {
            network: self._latency.of(live.signatures[network], device, float(values["latency_s"]))
            for network, values in scored_networks(metrics)
        }
        return level_results(metrics, self.setup.base.tune.metric, live.costs, latency_s)

    def _finish(self, record: TrialRecord, outcome: Outcome, cause: str = "", violation: float = 1.0) -> None:
        ended = record.finish(outcome, cause=cause, violation=violation)
        if ended is not None:
            self.standings.ended(record.number, ended)
        if ended == "FAIL":
            self._repeats.failed(record.number)
        elif ended is not None and self._inheritance is not None:
            self._inheritance.enter(self.study.get_trials(deepcopy=False)[record.number])

    def _unfinished(self) -> optuna.Trial | None:
        """A trial that nothing runs: its sweep was killed, or the answer that added it was lost."""
        for trial in own_trials(self.study):
            if trial.state == TrialState.RUNNING and trial.number not in self._taken:
                logger.info("trial %d continues from its last checkpoint", trial.number)
                return continued_trial(self.study, trial)
        return None

    def _spec(self, suggestion: optuna.Trial) -> TrialSpec | None:
        number = suggestion.number
        try:
            config, decisions = self._plan(suggestion)
        except _RefusedError as refused:
            logger.warning("trial %d is not launched, %s: %s", number, refused.outcome.lower(), refused)
            self._finish(TrialRecord(self.study, number), refused.outcome, str(refused), refused.violation)
            return None
        record, size_px = TrialRecord(self.study, number), config.patch_px
        # Whose weights it began with was decided after it was planned.
        digest = suggestion.user_attrs.get(CONFIG_SHA256) or planned_digest(
            _from(config, "") if INHERITS in suggestion.user_attrs else config
        )
        first = self._repeats.first(digest, number)
        if first != number:
            self._repeats.wait(number, for_=first)
            self._end_repeats(first)
            return None
        config, takeover = self._inheriting(record, config), None
        if self._members is not None:
            config, takeover = self._members.launched(record, config)
        record.note(RUN, config.run_uri)
        record.note(CONFIG_SHA256, digest)
        signatures = network_signatures(config.model, size_px)
        taken_over = 0 if takeover is None else takeover.epoch
        self._live[number] = _Live(record, count_cost(config.model, size_px), signatures, taken_over)
        return TrialSpec(number, config, decisions, takeover)

    def _inheriting(self, record: TrialRecord, config: RunConfig) -> RunConfig:
        """With the weights of an earlier trial to begin with, unless it has begun, or names others."""
        if self._inheritance is None or config.train.init or RunDir(config.run_uri).exists():
            return config
        source = self._inheritance.nearest(config)
        if source is None:
            return config
        logger.info("trial %d begins with the weights of trial %d", record.number, source)
        record.note(INHERITS, source)
        return _from(config, trial_uri(self.setup.sweep_uri, source))

    def _end_repeats(self, number: int) -> None:
        """Give what a trial has found to those of its configuration; without a result the next one trains."""
        if not self._repeats.has_waiting(number):
            return
        trial = self.study.get_trials(deepcopy=False)[number]
        if not trial.state.is_finished():
            return
        repeats = self._repeats.take_waiting(number)
        if trial.state == TrialState.FAIL:
            self._taken.difference_update(repeats)
            return
        for repeat in repeats:
            logger.info("trial %d is not trained: trial %d had its configuration", repeat, number)
            outcome = TrialRecord(self.study, repeat).finish_as(trial)
            if outcome is not None:
                self.standings.ended(repeat, outcome)

    def _plan(self, suggestion: optuna.Trial) -> tuple[RunConfig, tuple[Decision, ...]]:
        setup, out = self.setup, trial_uri(self.setup.sweep_uri, suggestion.number)
        try:
            values = setup.asked(suggestion)
        except optuna.TrialPruned as pruned:
            raise _RefusedError("INFEASIBLE", str(pruned) or "the space gave the trial up") from pruned
        except ConfigError as error:
            raise _RefusedError("FAIL", str(error)) from error
        try:
            # A trial has one source of weights; which, `_inheriting` says.
            own = {"out": out, "name": "", "tune.inherit": False}
            if setup.base.tune.scheduler == "pbt":
                own["train.keep_checkpoints"] = ALL_CHECKPOINTS
            config = replace(apply(setup.base, values), own)
            config, decisions = resolve(config, setup.manifest, setup.hardware, sweep=True)
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
    return stored_config(run.read_config(), run.uri).model_copy(update=kept)


def _members(setup: SweepSetup) -> Members | None:
    """The population, where trials are one."""
    tune = setup.base.tune
    return Members(setup.base, setup.sweep_uri) if tune.scheduler == "pbt" else None


def _from(config: RunConfig, source: str) -> RunConfig:
    return config.model_copy(update={"train": config.train.model_copy(update={"init": source})})


def trial_gpus(decided: RunConfig) -> float:
    """GPUs that a trial takes, parts of one included."""
    return decided.max_workers * float(decided.scale.gpus_per_worker) if decided.scale.gpu else 0.0
