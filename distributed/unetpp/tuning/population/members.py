"""The trials of a sweep as a population: read from the study, and told to it."""

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.trial import FrozenTrial

from unetpp.config.run import RunConfig
from unetpp.config.sections.loss import LossConfig
from unetpp.core.places import trial_uri
from unetpp.tuning.population.rule import Population
from unetpp.tuning.population.searched import peers_digest
from unetpp.tuning.population.takeover import Takeover
from unetpp.tuning.study.epochs import EpochRecord, Verdict
from unetpp.tuning.study.exploits import POPULATION, dump_exploit, exploit_key, recorded_exploits
from unetpp.tuning.study.levels import LevelResult, headline
from unetpp.tuning.study.record import TrialRecord

__all__ = ["ALL_CHECKPOINTS", "Members"]

logger = logging.getLogger(__name__)

ALL_CHECKPOINTS = 10**9
"""Of `train.keep_checkpoints`: a trial may be taken over at any epoch that it reached, also after its end."""


class Members:
    """Who is in the population, and what became of each.

    Args:
        base: the sweep's configuration.
        sweep_uri: its folder.
    """

    def __init__(self, base: RunConfig, sweep_uri: str) -> None:
        tune = base.tune
        self._sweep_uri = sweep_uri
        self._population = Population(tune.grace_epochs, tune.reduction_factor, base.train.epochs, tune.seed)

    def add(self, trial: FrozenTrial, records: Mapping[int, EpochRecord]) -> None:
        """A trial that the study has already, with its epochs."""
        if POPULATION not in trial.user_attrs:
            return
        self._population.join(trial.number, **json.loads(trial.user_attrs[POPULATION]))
        exploits = {found.epoch: found for found in recorded_exploits(trial, records)}
        for epoch, record in records.items():
            if record.levels:
                quality = headline(record.levels).quality
                self._population.enter(trial.number, epoch, quality, exploits.get(epoch))

    def launched(self, record: TrialRecord, config: RunConfig) -> tuple[RunConfig, Takeover | None]:
        """The configuration that a trial goes on with, and what it takes over before."""
        if record.number not in self._population:
            joins: dict[str, Any] = {
                "peers": peers_digest(config),
                "loss": config.loss.model_dump(mode="json"),
            }
            record.note(POPULATION, json.dumps(joins, separators=(",", ":")))
            self._population.join(record.number, **joins)
        last = self._population.last_exploit(record.number)
        if last is None:
            return config, None
        logger.info(
            "trial %d goes on with the weights that trial %d had after epoch %d",
            record.number, last.donor, last.epoch,
        )  # fmt: skip
        changed = config.model_copy(update={"loss": LossConfig.model_validate(last.after)})
        return changed, Takeover(last.epoch, trial_uri(self._sweep_uri, last.donor))

    def decide(
        self, record: TrialRecord, epoch: int, levels: Sequence[LevelResult], *, may_exploit: bool
    ) -> Verdict:
        """Remember what a trial reached; whether it goes on as another one, which the study is told."""
        quality = headline(levels).quality
        found = self._population.decide(record.number, epoch, quality) if may_exploit else None
        if found is not None:
            # It counts once the epoch is recorded, with the same verdict.
            record.note(exploit_key(epoch), dump_exploit(found))
        self._population.enter(record.number, epoch, quality, found)
        return "continue" if found is None else "exploit"
