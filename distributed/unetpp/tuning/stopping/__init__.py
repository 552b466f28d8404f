"""Early stopping of trials (Optuna: pruning, Tune: scheduling): the rules that decide when a trial ends.

Rules are pure, and rebuilt from what the study recorded.
"""

from unetpp.config.sections.train import TrainConfig
from unetpp.config.sections.tune import TuneConfig
from unetpp.tuning.stopping.extrapolation import ExtrapolationRule
from unetpp.tuning.stopping.halving import AshaRule
from unetpp.tuning.stopping.median import MedianRule
from unetpp.tuning.stopping.pareto import ParetoRule
from unetpp.tuning.stopping.rule import Rule

__all__ = ["AshaRule", "ExtrapolationRule", "MedianRule", "ParetoRule", "Rule", "build_rule"]


def build_rule(tune: TuneConfig, train: TrainConfig) -> Rule:
    """By `tune.scheduler`; with several objectives successive halving goes by the Pareto front.

    Trials that go by minutes all end on their own: after equally many epochs they are not equally far. So do
    those of a population, see `population/rule.py`.
    """
    max_epochs = train.epochs
    if tune.scheduler in ("none", "pbt") or train.minutes > 0:
        return AshaRule(max_epochs, tune.reduction_factor, max_epochs)  # a ladder without a rung
    if tune.scheduler == "curves":
        return ExtrapolationRule(tune.objectives, tune.grace_epochs, max_epochs)
    if tune.scheduler == "median":
        return MedianRule(tune.grace_epochs, max_epochs)
    if len(tune.objectives) > 1:
        return ParetoRule(tune.objectives, tune.grace_epochs, tune.reduction_factor, max_epochs)
    return AshaRule(tune.grace_epochs, tune.reduction_factor, max_epochs)
