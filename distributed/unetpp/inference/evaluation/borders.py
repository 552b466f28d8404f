"""Scores of borders of a split: means over images and classes, and of each class."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from unetpp.core.errors import InputError
from unetpp.core.manifest import Task
from unetpp.data.dataset.sample import Sample
from unetpp.objective.boundary.scores import BORDER_SCORES, Tolerance, border_scores

__all__ = ["Borders"]


class Borders:
    """Accumulates what `border_scores` says of each image.

    Args:
        classes: their names.
        task: how masks are read.
        tolerance: of the surface Dice.
    """

    def __init__(self, classes: Sequence[str], task: Task, tolerance: Tolerance) -> None:
        self._classes, self._task, self._tolerance = tuple(classes), task, tolerance
        self._scores: list[NDArray[np.float64]] = []
        self._all_in_mm = True

    def add(self, sample: Sample, logits: Tensor, mask: Tensor) -> dict[str, float]:
        """Measure an image: logits (1, C, *size), mask uint8 (1, *size); the means of its classes by name.

        Raises:
            InputError: the tolerance is in mm, and the image's file does not tell its spacing.
        """
        spacing = _spacing_mm(sample)
        if spacing is None and self._tolerance.unit == "mm":
            raise InputError(
                f"a tolerance in mm needs images that tell their spacing; {sample.sample_id} does not: "
                "give it in px"
            )
        self._all_in_mm &= spacing is not None
        scores = border_scores(logits, mask, self._task, self._tolerance, spacing)
        self._scores.append(scores)
        return {
            name: value
            for name, value in zip(BORDER_SCORES, _means(scores), strict=True)
            if value is not None
        }

    def merge(self, other: "Borders") -> None:
        """Add the images of another, which come after these."""
        self._scores += other._scores
        self._all_in_mm &= other._all_in_mm

    def compute(self) -> dict[str, Any]:
        """boundary_iou, surface_dice, hd95_px and, where every file tells its spacing, hd95_mm: means over
        images and classes that have the score, None where none has; borders: the tolerance, the same of each
        class, and without_distance: images times classes of which only one side has a border.
        """
        stacked = np.stack(self._scores) if self._scores else np.empty((0, len(self._classes), 4))
        shown = BORDER_SCORES if self._all_in_mm else BORDER_SCORES[:3]
        means = dict(zip(shown, _means(stacked.reshape(-1, 4)), strict=False))
        one_sided = ~np.isnan(stacked[..., 0]) & np.isnan(stacked[..., 2])
        classes = [
            {"name": name, **dict(zip(shown, _means(stacked[:, k]), strict=False))}
            for k, name in enumerate(self._classes)
        ]
        return {
            **means,
            "borders": {
                "tolerance": str(self._tolerance),
                "classes": classes,
                "without_distance": int(one_sided.sum()),
            },
        }


def _means(scores: NDArray[np.float64]) -> Sequence[float | None]:
    """Of each column those that exist."""
    columns = (column[~np.isnan(column)] for column in scores.T)
    return [float(column.mean()) if len(column) else None for column in columns]


def _spacing_mm(sample: Sample) -> tuple[float, ...] | None:
    spacing = () if sample.space is None else sample.space.spacing_mm
    return spacing if len(spacing) == sample.mask.ndim else None
