"""Rules that stop trials early; pure, and rebuilt from what the study recorded."""

from unetpp.tuning.stopping.build import build_rule
from unetpp.tuning.stopping.halving import AshaRule
from unetpp.tuning.stopping.median import MedianRule
from unetpp.tuning.stopping.pareto import ParetoRule
from unetpp.tuning.stopping.rule import Rule

__all__ = ["AshaRule", "MedianRule", "ParetoRule", "Rule", "build_rule"]
