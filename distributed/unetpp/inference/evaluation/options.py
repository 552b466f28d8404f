"""What an evaluation does beyond scoring images as they are."""

from dataclasses import dataclass, field

from unetpp.inference.robustness.disturbance import Disturbance

__all__ = ["EvaluateOptions"]


@dataclass(frozen=True)
class EvaluateOptions:
    """Choices of `evaluate`."""

    hd95: bool = False
    """Also measure the 95th percentile of the Hausdorff distance, which takes longer."""
    disturbance: Disturbance = field(default_factory=Disturbance)
    """What is done to images before they are scored."""
