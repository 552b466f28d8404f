"""Rules that stop trials early; pure, and rebuilt from what the study recorded."""

from unetpp.tune.stopping.build import build_rule
from unetpp.tune.stopping.halving import AshaRule
from unetpp.tune.stopping.median import MedianRule
from unetpp.tune.stopping.pareto import ParetoRule
from unetpp.tune.stopping.rule import Rule

__all__ = ["AshaRule", "MedianRule", "ParetoRule", "Rule", "build_rule"]
