"""Learning curves carried on to the last epoch, in the manner of Domhan et al. (IJCAI 2015).

A curve is c - a x**-r, or c - a exp(-r x), of the epoch x plus noise. Given the rate r it is linear in c and
a, so that what the noise leaves open of both is known in closed form; r is averaged over a grid by how well
each value explains the epochs so far. No sampling, and the same answer everywhere.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["MIN_EPOCHS", "chance_above", "expected"]

MIN_EPOCHS = 4
"""Fewer do not tell a curve's three numbers and its noise apart."""
_POWERS = np.geomspace(0.1, 3.0, 12)
_RATES = np.geomspace(0.03, 3.0, 12)
_NOISE = 0.01
"""Spread that is expected of a validation score from epoch to epoch, which counts as one epoch does."""

_Floats = NDArray[np.float64]


def chance_above(epochs: Sequence[int], qualities: Sequence[float], last: int, bar: float) -> float:
    """How likely the quality after the last epoch is above a bar, from 0 to 1.

    Args:
        epochs: at least `MIN_EPOCHS`, ascending, 1-based.
        qualities: of each, finite.
        last: the epoch that is asked for, not before these.
    """
    from scipy.special import stdtr  # whose import takes a tenth of a second

    weights, values, spreads = _carried_on(epochs, qualities, last)
    return float(weights @ stdtr(_degrees(len(epochs)), (values - bar) / spreads))


def expected(epochs: Sequence[int], qualities: Sequence[float], last: float) -> float:
    """The quality that is expected after the last epoch; arguments as above."""
    weights, values, _ = _carried_on(epochs, qualities, last)
    return float(weights @ values)


def _carried_on(
    epochs: Sequence[int], qualities: Sequence[float], last: float
) -> tuple[_Floats, _Floats, _Floats]:
    """Weight of each curve, its value at the last epoch and the spread of that."""
    x, y = np.asarray(epochs, dtype=float), np.asarray(qualities, dtype=float)
    fits = [_fitted(basis, y) for basis in _bases(np.append(x, last))]
    evidence, values, spreads = np.array(fits).T
    weights = np.exp(evidence - evidence.max())
    return weights / weights.sum(), values, spreads


def _bases(x: _Floats) -> list[_Floats]:
    """What falls to 0 in each curve, at each epoch."""
    return [x**-power for power in _POWERS] + [np.exp(-rate * x) for rate in _RATES]


def _fitted(basis: _Floats, y: _Floats) -> tuple[float, float, float]:
    """Log evidence of a curve, the value that it predicts, and the spread of that.

    Args:
        basis: at the epochs of y, and one more: the one that is predicted.
    """
    *known, ahead = basis
    centred = np.array(known) - np.mean(known)
    size = float(centred @ centred)
    # A curve that falls is taken for a level one: scores do not get worse for good.
    slope = min(float(centred @ y) / size, 0.0) if size > 0 else 0.0
    step = float(ahead - np.mean(known))
    residuals = y - y.mean() - slope * centred
    degrees = _degrees(len(y))
    spread = (float(residuals @ residuals) + _NOISE**2) / degrees
    leverage = 1 + 1 / len(y) + (step**2 / size if size > 0 else 0.0)
    value = float(y.mean()) + slope * step
    return -degrees / 2 * math.log(spread), value, math.sqrt(spread * leverage)


def _degrees(count: int) -> int:
    """Of freedom: the observations and the expected noise, less the two numbers that are fitted."""
    return count + 1 - 2
