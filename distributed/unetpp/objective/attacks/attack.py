"""What an attack may do to an image."""

from dataclasses import dataclass

import torch
from torch import Tensor

from unetpp.config.adversarial import raw_range
from unetpp.config.sections.adversarial import AttackName

__all__ = ["Attack", "Bounds", "bounds_of"]

_RELATIVE_STEP = 2.5
"""Of epsilon over the number of steps, as in Madry et al. 2018: any pixel can reach either bound."""


@dataclass(frozen=True)
class Attack:
    """An attack in the largest norm: no pixel changes by more than epsilon."""

    name: AttackName
    epsilon: float
    """In raw values of the images."""
    steps: int
    dtype: str
    """Of the raw images."""

    @property
    def passes(self) -> int:
        """Forward and backward passes."""
        return 1 if self.name == "fgsm" else self.steps

    @property
    def relative_step(self) -> float:
        """Length of a step, in epsilons."""
        return 1.0 if self.name == "fgsm" else min(1.0, _RELATIVE_STEP / self.steps)

    @property
    def starts_at_random(self) -> bool:
        return self.name != "fgsm"


@dataclass(frozen=True)
class Bounds:
    """In the units of the network's input, float32 (1, C, 1, 1), or with one axis more for volumes."""

    epsilon: Tensor
    low: Tensor
    high: Tensor
    """Of a pixel; an augmented image that goes beyond may stay where it is."""


def bounds_of(attack: Attack, normalise: torch.nn.Module, like: Tensor) -> Bounds:
    """An attack's bounds after normalisation, which is an affine map of each channel.

    Args:
        attack: its epsilon is in raw values.
        normalise: raw (N, C, *size) to the network's input.
        like: images (N, C, *size).
    """
    shape = (1, like.shape[1], *[1] * (like.ndim - 2))

    def level(value: float) -> Tensor:
        normalised: Tensor = normalise(torch.full(shape, value, device=like.device))
        return normalised

    low, high = raw_range(attack.dtype)
    return Bounds(level(attack.epsilon) - level(0.0), level(low), level(high))
