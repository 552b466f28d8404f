"""Weights of the objective's terms."""

from pydantic import Field

from unetpp.config.sections.base import Section

__all__ = ["LossConfig"]


class LossConfig(Section):
    """Loss = sum over levels of level_weight[k] * sum over terms of weight * term."""

    ce: float = Field(0.5, ge=0)
    """Weight of cross-entropy (binary cross-entropy for binary and multilabel tasks)."""
    dice: float = Field(1.0, ge=0)
    """Weight of 1 - Dice, computed per image and class; the weights of the terms need not sum to 1."""
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
    image: float = Field(0.2, ge=0)
    """Weight of the image-level classification loss."""
