"""Weights of the objective's terms."""

from typing import Literal

from pydantic import Field

from unetpp.config.sections.base import Fraction, Positive, Section

__all__ = ["PIXEL_TERMS", "LossConfig"]

PIXEL_TERMS = ("ce", "dice", "focal", "tversky", "lovasz", "cldice", "boundary")
"""Names of the weights of the terms of a pixel's loss."""


class LossConfig(Section):
    """Loss = sum over levels of level_weight[k] * sum over terms of weight * term."""

    ce: float = Field(0.5, ge=0)
    """Weight of cross-entropy (binary cross-entropy for binary and multilabel tasks)."""
    dice: float = Field(1.0, ge=0)
    """Weight of 1 - Dice, computed per image and class; the weights of the terms need not sum to 1."""
    dice_classes: Literal["all", "present"] = "all"
    """Classes over which the Dice and Tversky terms of an image are averaged, where classes exclude each
    other: all, or those in the image, as the term of an absent class is near 1 whatever is predicted."""
    class_weights: tuple[Positive, ...] = ()
    """Weight of each class's pixels in cross-entropy and focal loss, in the order of the classes; empty is 1
    for all. Binary and multilabel tasks weight the pixels that have the class."""
    hardest: Fraction = 1.0
    """Share of an image's pixels that cross-entropy is averaged over, those of highest loss; 1 takes all."""
    lovasz: float = Field(0.0, ge=0)
    """Weight of the Lovasz loss, a convex surrogate of 1 - IoU over the classes in the image."""
    cldice: float = Field(0.0, ge=0)
    """Weight of the soft clDice loss, by which thin foreground keeps its centre lines unbroken."""
    focal: float = Field(0.0, ge=0)
    """Weight of the focal loss: cross-entropy in which pixels that are right already count less."""
    focal_gamma: float = Field(2.0, ge=0)
    """Exponent that plays down easy pixels in the focal term; 0 makes it cross-entropy."""
    tversky: float = Field(0.0, ge=0)
    """Weight of the Tversky loss: Dice in which false positives and false negatives cost differently."""
    tversky_alpha: float = Field(0.3, ge=0)
    """Cost of a false positive in the Tversky term."""
    tversky_beta: float = Field(0.7, ge=0)
    """Cost of a false negative in the Tversky term."""
    boundary: float = Field(0.0, ge=0)
    """Weight of the boundary loss: probability times signed distance to the true border, in longest sides."""
    level_decay: float = Field(0.5, gt=0, le=1)
    """Weight of head k is level_decay**(depth-k), normalised to sum to 1."""
    distill: float = Field(0.0, ge=0)
    """Weight of self-distillation: each level learns the probabilities of the deepest one, which does not
    learn from it; a network of one level has none."""
    distill_temperature: Positive = 2.0
    """What logits are divided by for self-distillation; more makes the probabilities softer."""
    image: float = Field(0.2, ge=0)
    """Weight of the image-level classification loss."""
