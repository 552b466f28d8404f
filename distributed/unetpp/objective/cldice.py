"""Soft clDice: Dice of centre lines, by which thin structures stay connected (Shit et al. 2021)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from unetpp.objective.losses import probabilities

__all__ = ["centre_lines", "soft_cldice", "soft_skeleton"]

_ITERATIONS = 5
"""Half the width, in pixels, of the widest structure that is thinned to its centre line."""
_SMOOTH_PX = 1.0


def soft_cldice(
    logits: Tensor, target: Tensor, valid: Tensor, *, softmax: bool, true_lines: Tensor | None = None
) -> Tensor:
    """1 - clDice of the foreground, per image: the harmonic mean of topology precision and sensitivity.

    Classes that exclude each other are scored without the first, the background.

    Args:
        logits: (N, C, *size).
        target: float32 (N, C, *size) of zeros and ones.
        valid: float32 (N, 1, *size).
        true_lines: the target's centre lines where they are known, see `centre_lines`.

    Returns:
        float32 (N,).
    """
    p, y = probabilities(logits, softmax=softmax) * valid, target * valid
    if softmax:
        p, y = p[:, 1:], y[:, 1:]
    if true_lines is None:
        true_lines = centre_lines(target, valid, softmax=softmax)
    lines = soft_skeleton(p)
    precision = (_total(lines * y) + _SMOOTH_PX) / (_total(lines) + _SMOOTH_PX)
    sensitivity = (_total(true_lines * p) + _SMOOTH_PX) / (_total(true_lines) + _SMOOTH_PX)
    return 1 - 2 * precision * sensitivity / (precision + sensitivity)


@torch.no_grad()
def centre_lines(target: Tensor, valid: Tensor, *, softmax: bool) -> Tensor:
    """Of the target's foreground: (N, C, *size), without the background where classes exclude each other."""
    foreground = target * valid
    return soft_skeleton(foreground[:, 1:] if softmax else foreground)


def soft_skeleton(x: Tensor, iterations: int = _ITERATIONS) -> Tensor:
    """Centre lines of values in 0..1 (N, C, *size), by repeated soft erosion (algorithm 1)."""
    lines = F.relu(x - _opened(x))
    for _ in range(iterations):
        x = _eroded(x)
        delta = F.relu(x - _opened(x))
        lines = lines + F.relu(delta - lines * delta)
    return lines


def _eroded(x: Tensor) -> Tensor:
    """The least value of the pixels that lie beside a pixel along an axis, itself included."""
    parts = []
    for axis in range(x.ndim - 2):
        window = [1] * (x.ndim - 2)
        window[axis] = 3
        parts.append(-_max_pool(-x, window))
    least = parts[0]
    for part in parts[1:]:
        least = torch.minimum(least, part)
    return least


def _opened(x: Tensor) -> Tensor:
    return _max_pool(_eroded(x), [3] * (x.ndim - 2))


def _max_pool(x: Tensor, window: list[int]) -> Tensor:
    pool = F.max_pool2d if x.ndim == 4 else F.max_pool3d
    return pool(x, window, 1, [side // 2 for side in window])


def _total(x: Tensor) -> Tensor:
    """(N, C, *size) -> (N,)."""
    return x.flatten(1).sum(1)
