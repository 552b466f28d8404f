"""What training minimises and what validation reports."""

from unetpp.objective.metrics import SegmentationMetrics
from unetpp.objective.supervision import Objective, build_objective

__all__ = ["Objective", "SegmentationMetrics", "build_objective"]
