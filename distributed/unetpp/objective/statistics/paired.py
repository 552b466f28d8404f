"""Whether two networks differ in quality: a paired comparison of their scores, image by image.

`distinguishable` means the same wherever it is said: a two-sided sign-flip permutation test of the images'
scores, p below 0.05, where p is corrected for the number of comparisons made side by side (Holm 1979). The
interval beside it is that of the bootstrap over images, of each comparison on its own.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from unetpp.core.errors import InputError
from unetpp.core.seeds import rng
from unetpp.objective.statistics.holm import holm

__all__ = ["Comparison", "compare_paired", "corrected", "mean_interval"]

_P_VALUE = 0.05
_EXACT_MAX_IMAGES = 12
_FLIPS = 10_000
_MIN_IMAGES = 2
_RESAMPLES = 5000
_INTERVAL_PERCENT = (2.5, 97.5)


@dataclass(frozen=True)
class Comparison:
    """Paired difference b - a of per-image scores."""

    images: int
    mean_difference: float
    ci_low: float
    ci_high: float
    """[ci_low, ci_high] holds the mean of 95 % of bootstrap resamples of the images."""
    p_value: float
    """Two-sided sign-flip permutation test of a mean difference of zero, of this comparison on its own."""
    p_corrected: float
    """The same, corrected for the comparisons made side by side; of a single one `p_value`."""

    @property
    def distinguishable(self) -> bool:
        """Whether, of all these comparisons, a difference this large would arise by chance in under 5 % of
        cases.
        """
        return self.p_corrected < _P_VALUE

    def to_json(self) -> dict[str, Any]:
        """Every field, and whether the two are distinguishable."""
        return asdict(self) | {"distinguishable": self.distinguishable}


def compare_paired(a: Mapping[str, float], b: Mapping[str, float]) -> Comparison:
    """Compare scores by image; a configuration trained with several seeds gives their mean per image.

    The test asks whether the same two networks' order would hold on other images of this kind. That other
    seeds would give other networks is in it only as far as the scores are means over seeds. The same scores
    give the same answer: what is drawn is seeded.

    Raises:
        InputError: the two were not scored on the same images, or on fewer than two.
    """
    if a.keys() != b.keys() or len(a) < _MIN_IMAGES:
        common = len(a.keys() & b.keys())
        raise InputError(
            f"a paired comparison needs the same {_MIN_IMAGES} or more images for both; of {len(a)} and "
            f"{len(b)} they share {common}; evaluate both on one split"
        )
    differences = np.array([b[name] - a[name] for name in sorted(a)])
    low, high = mean_interval(differences, rng("compare", 0, "bootstrap"))
    p_value = _sign_flip(differences, rng("compare", 0, "flips"))
    return Comparison(len(a), float(differences.mean()), low, high, p_value, p_value)


def corrected(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Comparisons that are made side by side, with p-values corrected for their number."""
    adjusted = holm([each.p_value for each in comparisons])
    return [replace(each, p_corrected=p) for each, p in zip(comparisons, adjusted, strict=True)]


def mean_interval(values: np.ndarray, generator: np.random.Generator) -> tuple[float, float]:
    """Interval that holds the mean of 95 % of bootstrap resamples of the values (percentile method)."""
    # One resample at a time: memory stays that of one, whatever the number of values.
    draws = (generator.integers(len(values), size=len(values)) for _ in range(_RESAMPLES))
    means = [float(values[draw].mean()) for draw in draws]
    low, high = np.percentile(means, _INTERVAL_PERCENT)
    return float(low), float(high)


def _sign_flip(differences: np.ndarray, generator: np.random.Generator) -> float:
    """Share of sign assignments whose mean is at least as far from zero; all of them for few images."""
    count = len(differences)
    threshold = abs(float(differences.sum())) * (1 - 1e-12)  # sums of the same numbers differ by rounding
    if count <= _EXACT_MAX_IMAGES:
        signs = np.array(list(itertools.product((-1.0, 1.0), repeat=count)))
        return float(np.mean(np.abs(signs @ differences) >= threshold))
    # One assignment at a time: memory stays that of one, whatever the number of images.
    extreme = sum(
        abs(float(generator.choice((-1.0, 1.0), count) @ differences)) >= threshold for _ in range(_FLIPS)
    )
    return (int(extreme) + 1) / (_FLIPS + 1)
