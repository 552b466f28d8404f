"""Confidence interval of a mean by resampling."""

import numpy as np

__all__ = ["mean_interval"]

_RESAMPLES = 5000
_INTERVAL_PERCENT = (2.5, 97.5)


def mean_interval(values: np.ndarray, generator: np.random.Generator) -> tuple[float, float]:
    """Interval that holds the mean of 95 % of bootstrap resamples of the values (percentile method)."""
    # One resample at a time: memory stays that of one, whatever the number of values.
    draws = (generator.integers(len(values), size=len(values)) for _ in range(_RESAMPLES))
    means = [float(values[draw].mean()) for draw in draws]
    low, high = np.percentile(means, _INTERVAL_PERCENT)
    return float(low), float(high)
