"""Slices of a DICOM series in order, and the grid they form.

World coordinates of DICOM are millimetres left, posterior, superior (LPS); those of a grid here are right,
anterior, superior (RAS).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetpp.data.images.header import SampleError
from unetpp.data.sources.medical.dicom_file import header_of, text_of

__all__ = ["Plane", "Stack", "has_place", "plane_of", "require_one_series", "stack_of"]

_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_SAME_DIRECTION = 1e-3
_EVEN = 0.05
"""Largest part of a gap by which gaps may differ: positions are written with few digits."""


@dataclass(frozen=True)
class Plane:
    """Where a slice lies: centre of its first pixel, steps to the next column and row, in mm (LPS)."""

    position: NDArray[np.float64]
    across: NDArray[np.float64]
    down: NDArray[np.float64]
    thickness_mm: float

    @property
    def normal(self) -> NDArray[np.float64]:
        """Of length one."""
        normal = np.cross(self.across, self.down)
        return np.asarray(normal / np.linalg.norm(normal))


@dataclass(frozen=True)
class Stack:
    """Slices in order along their normal."""

    order: tuple[int, ...]
    """Of the slices as they were given."""
    affine: NDArray[np.float64]
    """4 x 4 from (slice, row, column, 1) to mm (RAS)."""


def has_place(dicom: Any) -> bool:
    """Whether a slice says where it lies."""
    return bool(dicom.get("ImagePositionPatient")) and bool(dicom.get("ImageOrientationPatient"))


def plane_of(position: Any, orientation: Any, spacing: Any, thickness: Any = None) -> Plane:
    """From the attributes of a file or of a frame.

    Raises:
        SampleError: one is missing or no number.
    """
    try:
        directions = np.array([float(v) for v in orientation]).reshape(2, 3)
        rows_mm, columns_mm = (float(v) for v in spacing)
        place = np.array([float(v) for v in position]).reshape(3)
        thickness_mm = float(thickness or 1.0)
    except (TypeError, ValueError):
        raise SampleError("a slice says no position, orientation or pixel spacing in full") from None
    across, down = directions[0] * columns_mm, directions[1] * rows_mm
    if not np.linalg.norm(np.cross(across, down)) > 0:
        raise SampleError("the orientation of a slice is no plane, or its pixel spacing is 0")
    return Plane(place, across, down, thickness_mm)


def require_one_series(slices: Sequence[Any]) -> None:
    """Raises SampleError where slices are of several series, sizes or codings."""
    series = Counter(
        (text_of(dicom, "Modality") or "image", text_of(dicom, "SeriesInstanceUID")) for dicom in slices
    )
    if len(series) > 1:
        found = "; ".join(f"{kind}, {count} files" for (kind, _), count in sorted(series.items()))
        raise SampleError(
            f"the folder mixes {len(series)} series ({found}); keep each series in a folder of its own"
        )
    headers = Counter(header_of(dicom) for dicom in slices)
    sizes = {(header.height, header.width, header.channels) for header in headers}
    if len(sizes) > 1:
        raise SampleError(f"slices differ in size: {sorted(sizes)} (rows, columns, channels); keep one size")


def stack_of(planes: Sequence[Plane]) -> Stack:
    """Order slices by their position along the normal.

    Raises:
        SampleError: they are not parallel, one is missing, or several lie at one place.
    """
    first = planes[0]
    for plane in planes[1:]:
        if max(_apart(plane.across, first.across), _apart(plane.down, first.down)) > _SAME_DIRECTION:
            raise SampleError(
                "slices differ in orientation or pixel spacing, as with a localiser; keep parallel ones"
            )
    along = np.array([plane.position @ first.normal for plane in planes])
    order = np.argsort(along, kind="stable")
    if len(planes) == 1:
        return Stack((0,), _affine(first, first.normal * first.thickness_mm))
    gaps_mm = np.diff(along[order])
    _require_even(gaps_mm)
    start, end = planes[order[0]], planes[order[-1]]
    step = (end.position - start.position) / (len(planes) - 1)
    drift_mm = max(
        float(np.abs(planes[index].position - start.position - rank * step).max())
        for rank, index in enumerate(order)
    )
    if drift_mm > max(_EVEN * float(np.median(gaps_mm)), 0.05):
        raise SampleError(
            f"slices do not lie on a line, by up to {drift_mm:.3g} mm; resample the series to a grid"
        )
    return Stack(tuple(int(index) for index in order), _affine(start, step))


def _apart(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    return float(np.abs(first - second).max())


def _require_even(gaps_mm: NDArray[np.float64]) -> None:
    usual = float(np.median(gaps_mm))
    if gaps_mm.min() <= max(usual * _EVEN, 1e-3):
        raise SampleError(
            "several slices lie at one position: phases, echoes or repeats in one series; "
            "keep one of each position in a folder"
        )
    off = np.abs(gaps_mm - usual)
    if off.max() <= max(usual * _EVEN, 0.02):
        return
    worst = int(off.argmax())
    missing = round(float(gaps_mm[worst]) / usual) - 1
    what = f"{missing} slice(s) missing" if missing > 0 else "uneven distances"
    raise SampleError(
        f"{what}: slices {worst + 1} and {worst + 2} of {len(gaps_mm) + 1} lie {gaps_mm[worst]:.4g} mm "
        f"apart, the others {usual:.4g} mm; export the series again or resample it"
    )


def _affine(plane: Plane, step: NDArray[np.float64]) -> NDArray[np.float64]:
    grid = np.eye(4)
    grid[:3, 0], grid[:3, 1], grid[:3, 2], grid[:3, 3] = step, plane.down, plane.across, plane.position
    return np.asarray(_TO_RAS @ grid)
