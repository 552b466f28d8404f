"""Which finished trial of a sweep a new one takes its first weights from.

user attribute    value
inherits          number of the trial whose weights the trial began with

Weights are taken by name and shape, see `fit`. A deeper network holds each shallower one, so what grows in
depth computes at the levels it had what the other computed. Nothing is made for a wider one: channels that
are copied compute the same, and have the same gradients from then on.
"""

import functools
import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from optuna.trial import FrozenTrial, TrialState

from unetpp.config.run import RunConfig
from unetpp.config.sections.model import ModelConfig
from unetpp.config.stored import stored_config
from unetpp.core.places import trial_uri
from unetpp.core.rundir import RunDir
from unetpp.models.build import build_model
from unetpp.tuning.study.epochs import epoch_records, kept_levels
from unetpp.tuning.study.levels import headline

__all__ = ["Inheritance", "weights_shared"]

logger = logging.getLogger(__name__)

_LEAST_SHARE = 0.5
"""Of a network's weights, unless it holds the other one whole: else most of it would start at random beside
layers that are trained."""


@dataclass(frozen=True)
class _Ended:
    model: ModelConfig
    quality: float


class Inheritance:
    """The trials that have ended with a result.

    Args:
        sweep_uri: the sweep's folder.
        trials: its trials so far.
    """

    def __init__(self, sweep_uri: str, trials: Iterable[FrozenTrial]) -> None:
        self._sweep_uri = sweep_uri
        self._ended: dict[int, _Ended] = {}
        for trial in trials:
            self.enter(trial)

    def enter(self, trial: FrozenTrial) -> None:
        """Take in a trial; one that has no result of its own, or no run any more, is passed over."""
        kept = kept_levels(epoch_records(trial))
        if trial.state not in (TrialState.COMPLETE, TrialState.PRUNED) or not kept:
            return
        run, quality = RunDir(trial_uri(self._sweep_uri, trial.number)), headline(kept).quality
        if not math.isfinite(quality):
            return
        if not run.exists():
            logger.warning("%s: it is gone", _unusable(trial.number, run))
            return
        self._ended[trial.number] = _Ended(stored_config(run.read_config(), run.uri).model, quality)

    def nearest(self, config: RunConfig) -> int | None:
        """The trial that has most of this one's weights; of equals the one most alike, then the best.

        It has at least half of them, or this network holds its own whole. One whose checkpoints are gone is
        passed over, and said to be.

        Args:
            config: of the new trial, every `auto` decided.
        """
        near = [number for number in self._ended if self._is_near(config.model, number)]
        for number in sorted(near, key=lambda number: self._nearness(config.model, number), reverse=True):
            run = RunDir(trial_uri(self._sweep_uri, number))
            if run.exists() and run.checkpoints.steps():
                return number
            logger.warning("%s: no checkpoint is there any more", _unusable(number, run))
            del self._ended[number]
        return None

    def _is_near(self, model: ModelConfig, number: int) -> bool:
        other = self._ended[number].model
        return weights_shared(model, other) >= _LEAST_SHARE or weights_shared(other, model) == 1

    def _nearness(self, model: ModelConfig, number: int) -> tuple[float, int, float, int]:
        other = self._ended[number]
        own, fields = model.model_dump(), other.model.model_dump()
        alike = sum(own[name] == value for name, value in fields.items())
        return weights_shared(model, other.model), alike, other.quality, -number


def _unusable(number: int, run: RunDir) -> str:
    return f"no trial can begin with the weights of trial {number}, {run.uri}"


def weights_shared(model: ModelConfig, other: ModelConfig) -> float:
    """Share of a network's weights that another has by name and shape, from 0 to 1."""
    own, given = _shapes(model), _shapes(other)
    shared = sum(math.prod(shape) for name, shape in own.items() if given.get(name) == shape)
    return shared / sum(map(math.prod, own.values()))


@functools.lru_cache(maxsize=256)
def _shapes(model: ModelConfig) -> Mapping[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in build_model(model).state_dict().items()}
