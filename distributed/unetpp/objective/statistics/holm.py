"""Several comparisons side by side: the correction of Holm 1979, which holds for all of them together."""

from collections.abc import Sequence

import numpy as np

__all__ = ["holm"]


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, in the order given; a single one stays as it is.

    The k-th smallest of m is multiplied by m - k + 1, is not less than a smaller one's, and at most 1.
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    scaled = values[order] * np.arange(len(values), 0, -1)
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0) if len(values) else scaled
    return [float(value) for value in adjusted]
