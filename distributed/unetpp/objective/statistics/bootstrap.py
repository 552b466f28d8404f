"""Confidence intervals of scores by the bootstrap over images, or over groups of images that belong together.

Whole units are drawn with replacement as many times as there are units, and each resample is scored like the
split itself; an interval holds the scores of 95 % of the resamples (percentile method, Efron 1979). Images of
one group, such as slices of a patient or tiles of a scene, are drawn together: they are no independent
evidence. The same sums give the same intervals: what is drawn is seeded.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from unetpp.core.seeds import rng

__all__ = ["Interval", "bootstrap_intervals", "sums_by_unit"]

Interval = list[float]
"""Its lower and its upper end."""
_RESAMPLES = 2000
_PERCENT = (2.5, 97.5)
_BLOCK_BYTES = 2**26


def sums_by_unit(values: NDArray[np.float64], units: Sequence[str]) -> NDArray[np.float64]:
    """Add up rows (N, K) of the same unit: (U, K)."""
    names, index = np.unique(np.asarray(units), return_inverse=True)
    sums = np.zeros((len(names), values.shape[1]))
    np.add.at(sums, index, values)
    return sums


def bootstrap_intervals(
    sums: NDArray[np.float64], score: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> list[Interval | None]:
    """An interval for each score; None for all of fewer than two units, or of one that no resample has.

    Args:
        sums: (U, K), what adds up over units.
        score: (B, K) sums of B resamples to (B, S) scores, NaN where a resample has none.
    """
    units = len(sums)
    if units < 2:
        return [None] * score(sums.sum(axis=0, keepdims=True)).shape[1]
    generator = rng("evaluate", 0, "bootstrap")
    at_once = max(1, _BLOCK_BYTES // (8 * units))
    blocks = []
    for first in range(0, _RESAMPLES, at_once):
        drawn = generator.multinomial(units, np.full(units, 1 / units), min(at_once, _RESAMPLES - first))
        blocks.append(score(drawn @ sums))
    return [_interval(column) for column in np.concatenate(blocks).T]


def _interval(values: NDArray[np.float64]) -> Interval | None:
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    low, high = np.percentile(known, _PERCENT)
    return [float(low), float(high)]
