"""Rules that stop trials early; pure, and rebuilt from what the study recorded."""

from unetpp.tune.rungs.build import build_rule
from unetpp.tune.rungs.halving import AshaRule
from unetpp.tune.rungs.median import MedianRule
from unetpp.tune.rungs.pareto import ParetoRule
from unetpp.tune.rungs.rule import Rule, Verdict

__all__ = ["AshaRule", "MedianRule", "ParetoRule", "Rule", "Verdict", "build_rule"]
