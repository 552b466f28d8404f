"""How well predicted objects are those of the truth: F1 over IoU, panoptic quality, aggregated Jaccard index.

    F1   2 TP / (2 TP + FP + FN), where a truth and a prediction match if their IoU reaches a threshold
    PQ   sum of the IoU of matches at 0.5, over TP + FP / 2 + FN / 2
    AJI  pixels that each truth shares with the prediction of highest IoU, over those of their unions and
         of all predictions that no truth chose (Kumar et al. 2017)

Matches are one to one, as many as there can be, those of higher IoU first. Counts and pixels
are summed over images. Classes do not matter: an object of the wrong class that lies right is a match.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["F1_THRESHOLDS", "InstanceMetrics", "Overlaps", "overlaps_of"]

F1_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class Overlaps:
    """Pixels that truths T and predictions P share (T, P), and those each has, (T,) and (P,)."""

    shared: NDArray[np.int64]
    truth: NDArray[np.int64]
    predicted: NDArray[np.int64]

    @property
    def iou(self) -> NDArray[np.float64]:
        """(T, P)."""
        union = self.truth[:, None] + self.predicted[None, :] - self.shared
        quotient: NDArray[np.float64] = self.shared / union
        return quotient


def overlaps_of(truth: NDArray[np.int32], predicted: NDArray[np.int32]) -> Overlaps:
    """Count shared pixels of two images of ids, H W; 0 is no object and ids may have gaps."""
    truths, rows = np.unique(truth, return_inverse=True)
    predictions, columns = np.unique(predicted, return_inverse=True)
    codes = rows.ravel().astype(np.int64) * len(predictions) + columns.ravel()
    table = np.bincount(codes, minlength=len(truths) * len(predictions)).reshape(len(truths), -1)
    real, found = truths != 0, predictions != 0
    return Overlaps(table[np.ix_(real, found)], table.sum(axis=1)[real], table.sum(axis=0)[found])


class InstanceMetrics:
    """Sums over images."""

    def __init__(self) -> None:
        self._matches = np.zeros(len(F1_THRESHOLDS), dtype=np.int64)
        self._truths = self._predictions = 0
        self._matched_iou = 0.0
        self._intersection = self._union = 0

    def update(self, truth: NDArray[np.int32], predicted: NDArray[np.int32]) -> None:
        """Add an image of ids, both H W."""
        overlaps = overlaps_of(truth, predicted)
        self._truths += len(overlaps.truth)
        self._predictions += len(overlaps.predicted)
        for index, threshold in enumerate(F1_THRESHOLDS):
            matched = _matched_iou(overlaps.iou, threshold)
            self._matches[index] += len(matched)
            if index == 0:
                self._matched_iou += float(matched.sum())
        intersection, union = _aggregated(overlaps)
        self._intersection += intersection
        self._union += union

    def merge(self, other: "InstanceMetrics") -> None:
        """Add what another has accumulated."""
        self._matches += other._matches
        self._truths += other._truths
        self._predictions += other._predictions
        self._matched_iou += other._matched_iou
        self._intersection += other._intersection
        self._union += other._union

    def compute(self) -> dict[str, Any]:
        """f1 by threshold, pq, aji, truths and predictions; None where there is no object at all."""
        total = self._truths + self._predictions
        f1 = {
            f"{threshold:g}": 2 * int(matches) / total if total else None
            for threshold, matches in zip(F1_THRESHOLDS, self._matches, strict=True)
        }
        return {
            "f1": f1,
            "pq": 2 * self._matched_iou / total if total else None,
            "aji": self._intersection / self._union if self._union else None,
            "truths": self._truths,
            "predictions": self._predictions,
        }


def _matched_iou(iou: NDArray[np.float64], threshold: float) -> NDArray[np.float64]:
    """IoU of the matches that reach the threshold."""
    if not iou.size:
        return np.zeros(0)
    from scipy.optimize import linear_sum_assignment  # whose import takes 0.1 s

    # A match is worth more than what all IoU of an image can add.
    rows, columns = linear_sum_assignment((iou >= threshold) + iou / (2 * min(iou.shape)), maximize=True)
    found = iou[rows, columns]
    matched: NDArray[np.float64] = found[found >= threshold]
    return matched


def _aggregated(overlaps: Overlaps) -> tuple[int, int]:
    """Intersection and union of the aggregated Jaccard index."""
    shared, iou = overlaps.shared, overlaps.iou
    if not shared.size:
        return 0, int(overlaps.truth.sum() + overlaps.predicted.sum())
    best = iou.argmax(axis=1)
    rows = np.arange(len(best))
    hit = shared[rows, best] > 0
    rows, best = rows[hit], best[hit]
    intersection = shared[rows, best]
    union = overlaps.truth[rows] + overlaps.predicted[best] - intersection
    unused = np.ones(len(overlaps.predicted), dtype=np.bool_)
    unused[best] = False
    rest = overlaps.truth[~hit].sum() + overlaps.predicted[unused].sum()
    return int(intersection.sum()), int(union.sum() + rest)
