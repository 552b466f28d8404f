"""How much less probable a class may be than another and still win: one figure a class, chosen by Dice.

Where classes exclude each other the largest logit less its class's offset wins. An offset is written as a
threshold, the probability whose logit it is; one half is 0, a rare class has less.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from unetpp.objective.targets import encode_target

__all__ = ["OffsetSearch"]

_PIXELS_AN_IMAGE = 2048
_PIXELS = 2**20
"""Of all images that are kept; beyond them every second one is dropped, and of later images as many."""
_STEPS = (-2.0, -1.0, -0.5, -0.25, 0.25, 0.5, 1.0, 2.0)
_LARGEST = 3.0
"""Offsets beyond it follow few pixels of the split and not the task: thresholds are from 0.05 to 0.95."""
_ROUNDS = 4
_LEAST_GAIN = 1e-4
"""Of the mean Dice; less is noise of the pixels that were kept."""


class OffsetSearch:
    """Evenly spaced pixels of a split, by which offsets are chosen one class after another.

    Args:
        num_classes: logit channels of a multiclass task.
    """

    def __init__(self, num_classes: int) -> None:
        self._classes, self._every = num_classes, 1
        self._logits: list[NDArray[np.float32]] = []
        self._truth: list[NDArray[np.int64]] = []

    def update(self, logits: Tensor, mask: Tensor) -> None:
        """Add logits (N, C, *size) and masks uint8 (N, *size), see `encode_target`."""
        encoded = encode_target(mask, "multiclass", self._classes)
        for n in range(len(logits)):
            counted = encoded.valid[n, 0].bool().flatten()
            flat = logits[n].float().flatten(1)[:, counted]
            step = self._every * max(1, flat.shape[1] // _PIXELS_AN_IMAGE)
            self._logits.append(flat[:, ::step].cpu().numpy())
            self._truth.append(mask[n].flatten()[counted][::step].long().cpu().numpy())
        self._thin_out()

    def merge(self, other: "OffsetSearch") -> None:
        """Add what another has kept of images that come after these: what one alone would keep of all."""
        while self._every < other._every:
            self._halve()
        every = self._every // other._every
        self._logits += [each[:, ::every] for each in other._logits]
        self._truth += [each[::every] for each in other._truth]
        self._thin_out()

    def _thin_out(self) -> None:
        while sum(map(len, self._truth)) > _PIXELS:
            self._halve()

    def _halve(self) -> None:
        self._every *= 2
        self._logits = [each[:, ::2] for each in self._logits]
        self._truth = [each[::2] for each in self._truth]

    def best(self) -> tuple[float, ...]:
        """The threshold of each class; one half of all where no other gains."""
        logits, truth = self._kept()
        offsets = np.zeros(self._classes)
        best = _mean_dice(logits, truth, offsets)
        for _ in range(_ROUNDS):
            before = best
            for k in range(self._classes):
                for step in _STEPS:
                    tried = offsets.copy()
                    tried[k] = np.clip(tried[k] + step, -_LARGEST, _LARGEST)
                    if (score := _mean_dice(logits, truth, tried)) > best + _LEAST_GAIN:
                        best, offsets = score, tried
            if best == before:
                break
        return tuple((1 / (1 + np.exp(-offsets))).tolist())

    def dice(self, thresholds: Sequence[float]) -> list[float]:
        """Pooled Dice of each class at these thresholds, of the pixels that were kept; 0 without any."""
        shares = np.asarray(thresholds)
        found = _dice(*self._kept(), np.log(shares / (1 - shares)))
        listed: list[float] = np.nan_to_num(found).tolist()
        return listed

    def _kept(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """(C, pixels) and (pixels,)."""
        return np.concatenate(self._logits, axis=1), np.concatenate(self._truth)


def _mean_dice(logits: NDArray[np.float32], truth: NDArray[np.int64], offsets: NDArray[np.float64]) -> float:
    """Over the classes that occur."""
    return float(np.nanmean(_dice(logits, truth, offsets)))


def _dice(
    logits: NDArray[np.float32], truth: NDArray[np.int64], offsets: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(C,): NaN of a class without a pixel."""
    classes = len(offsets)
    predicted = (logits - offsets.astype(np.float32)[:, None]).argmax(0)
    true, found = np.bincount(truth, minlength=classes), np.bincount(predicted, minlength=classes)
    right = np.bincount(truth[truth == predicted], minlength=classes)
    total = (true + found).astype(np.float64)
    of_classes: NDArray[np.float64] = np.divide(
        2 * right, total, out=np.full(classes, np.nan), where=total > 0
    )
    return of_classes
