"""Paired comparison of two runs image by image."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from unetpp.core.confidence import mean_interval
from unetpp.core.seeds import rng

__all__ = ["PairedDifference", "paired_difference"]


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
    low, high = mean_interval(differences, rng("bootstrap", len(common)))
    return PairedDifference(len(common), float(differences.mean()), low, high)
