"""Adversarial training."""

from typing import Literal

from pydantic import Field

from unetpp.config.sections.base import Count, Fraction, Positive, Section

__all__ = ["AdversarialConfig", "AttackName"]

AttackName = Literal["fgsm", "pgd", "segpgd"]


class AdversarialConfig(Section):
    """Training on images that were changed, within a bound, so as to be segmented wrongly."""

    attack: Literal["none"] | AttackName = "none"
    """How: one step along the gradient's sign (fgsm), several from a random start (pgd), or several that
    first count the pixels that are still right (segpgd). Each of their steps costs a forward and a backward
    pass."""
    epsilon: Positive | None = None
    """Largest change of a pixel, in the images' own values: 8 means 8 of 255 where they have 8 bits, and is
    the value there; images of other types need one."""
    steps: Count = 3
    """Steps of pgd and segpgd, each of 2.5 * epsilon / steps; fgsm takes one of epsilon."""
    share: Fraction = Field(0.5, gt=0)
    """Probability that a training image is attacked; the others are trained on as they are."""
