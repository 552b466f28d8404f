"""Paired comparison of two runs image by image."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from unetpp.core.seeds import rng

__all__ = ["PairedDifference", "paired_difference"]

_RESAMPLES = 5000
_INTERVAL_PERCENT = (2.5, 97.5)


@dataclass(frozen=True)
class PairedDifference:
    """Mean of (other - reference) over the images both were scored on, with a bootstrap interval."""

    images: int
    mean: float
    low: float
    high: float
    """[low, high] holds the mean of 95 % of bootstrap resamples of the images (percentile method)."""

    @property
    def distinguishable(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


def paired_difference(reference: Mapping[str, float], other: Mapping[str, float]) -> PairedDifference | None:
    """Compare scores by sample id; None where fewer than two images are common.

    The same inputs give the same interval: resampling is seeded.
    """
    common = sorted(reference.keys() & other.keys())
    if len(common) < 2:
        return None
    differences = np.array([other[name] - reference[name] for name in common])
    generator = rng("bootstrap", len(common))
    # One resample at a time: memory stays that of one, whatever the number of images.
    draws = (generator.integers(len(common), size=len(common)) for _ in range(_RESAMPLES))
    means = [float(differences[draw].mean()) for draw in draws]
    low, high = np.percentile(means, _INTERVAL_PERCENT)
    return PairedDifference(len(common), float(differences.mean()), float(low), float(high))
