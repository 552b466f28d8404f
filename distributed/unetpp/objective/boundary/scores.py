"""Scores of borders of each image and class, and their means over images and classes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from unetpp.core.errors import ConfigError
from unetpp.core.manifest import Task
from unetpp.objective.boundary.boundary_iou import boundary_iou, boundary_width_px
from unetpp.objective.boundary.surface import surfaces_of
from unetpp.objective.counts import positive_pixels
from unetpp.objective.targets import encode_target

__all__ = ["BORDER_SCORES", "Tolerance", "border_scores", "parse_tolerance"]

BORDER_SCORES = ("boundary_iou", "surface_dice", "hd95_px", "hd95_mm")
_TOLERANCE = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(px|mm)?\s*")


@dataclass(frozen=True)
class Tolerance:
    """Distance within which a border counts as right."""

    value: float
    unit: str
    """px or mm."""

    def __str__(self) -> str:
        return f"{self.value:g} {self.unit}"


def parse_tolerance(text: str) -> Tolerance:
    """`2`, `2px` or `1.5mm`.

    Raises:
        ConfigError: it is none of these.
    """
    found = _TOLERANCE.fullmatch(text)
    if found is None:
        raise ConfigError(f"a tolerance is a distance such as 2px or 1.5mm, not {text!r}; write one of these")
    return Tolerance(float(found[1]), found[2] or "px")


def border_scores(
    logits: Tensor, mask: Tensor, task: Task, tolerance: Tolerance, spacing_mm: Sequence[float] | None
) -> NDArray[np.float64]:
    """Scores of one image's classes; NaN where a class has no such score.

    Ignored pixels belong to neither side. Distances in mm need the spacing.

    Args:
        logits: (1, C, *size), as for `count_pixels`.
        mask: uint8 (1, *size), see `encode_target`.
        task: how both are read.
        tolerance: of the surface Dice.
        spacing_mm: distance between neighbours along each axis of the size, if it is known.

    Returns:
        float64 (C, 4) in the order of `BORDER_SCORES`.
    """
    encoded = encode_target(mask, task, logits.shape[1])
    true = encoded.target[0].bool().cpu().numpy()
    predicted = (positive_pixels(logits, task) & encoded.valid.bool())[0].cpu().numpy()
    width_px = boundary_width_px(tuple(mask.shape[1:]))
    rows = [_of_class(*pair, width_px, tolerance, spacing_mm) for pair in zip(true, predicted, strict=True)]
    return np.array(rows, dtype=np.float64)


def _of_class(
    true: NDArray[np.bool_],
    predicted: NDArray[np.bool_],
    width_px: int,
    tolerance: Tolerance,
    spacing_mm: Sequence[float] | None,
) -> tuple[float, float, float, float]:
    in_px = surfaces_of(true, predicted)
    in_mm = None if spacing_mm is None else surfaces_of(true, predicted, spacing_mm)
    measured = in_px if tolerance.unit == "px" else in_mm
    return (
        boundary_iou(true, predicted, width_px),
        float("nan") if measured is None else measured.dice(tolerance.value),
        in_px.hd95,
        float("nan") if in_mm is None else in_mm.hd95,
    )
