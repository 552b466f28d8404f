"""DICOM SEG: named segments, drawn on the grid of the image that they are of.

A file holds frames of single segments (BINARY) or of segment numbers (LABELMAP), and leaves out empty ones.
"""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetpp.data.images.header import Header, SampleError
from unetpp.data.sources.medical.dicom_file import (
    open_dicom,
    refusing_damage,
    stored_pixels,
    text_of,
)
from unetpp.data.sources.medical.dicom_frames import frame_count, frame_item, frame_planes
from unetpp.data.sources.medical.dicom_series import Plane
from unetpp.data.sources.raster import Box, FromSeries, Pixels, Raster, Space

__all__ = ["Segmentation", "is_segmentation"]

_KINDS = ("BINARY", "LABELMAP")
_OFF_GRID = 0.1
"""Voxels."""
_LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])


def is_segmentation(paths: Sequence[Path]) -> bool:
    """Whether an image's files are one DICOM SEG."""
    with refusing_damage():
        return len(paths) == 1 and text_of(open_dicom(paths[0]), "Modality") == "SEG"


class Segmentation:
    """A file whose segments are named; `drawn_on` an image it has pixels."""

    space = Space()

    def __init__(self, path: Path) -> None:
        self._path = path
        self._dicom = open_dicom(path, pixels=True)
        with refusing_damage():
            kind = text_of(self._dicom, "SegmentationType")
            if kind not in _KINDS:
                raise SampleError(
                    f"a {kind or 'damaged'} segmentation holds no labels; save it as BINARY or LABELMAP"
                )
            self._planes = self._frame_planes()
            self.segments = self._read_segments()

    @cached_property
    def digest(self) -> bytes:
        return hashlib.sha256(self._path.read_bytes()).digest()

    @property
    def header(self) -> Header:
        rows, columns = int(self._dicom.Rows), int(self._dicom.Columns)
        return Header(rows, columns, len(self.names), "uint8", frame_count(self._dicom))

    def _read_segments(self) -> dict[int, str]:
        """Name of each segment by its number."""
        try:
            return {
                int(item.SegmentNumber): str(item.SegmentLabel).strip()
                for item in self._dicom.SegmentSequence
                if int(item.SegmentNumber) > 0
            }
        except (AttributeError, TypeError, ValueError):
            raise SampleError("damaged DICOM SEG: a segment has no number or no label") from None

    @property
    def names(self) -> tuple[str, ...]:
        """Of the segments, sorted."""
        return tuple(sorted(set(self.segments.values())))

    def read(self, box: Box | None = None) -> Pixels:  # noqa: ARG002  # the protocol's
        """Raises SampleError: only `drawn_on` an image a segmentation is complete."""
        raise SampleError("a DICOM SEG has pixels only beside the image that it is of")

    def drawn_on(self, image: Raster, names: Sequence[str]) -> NDArray[np.uint8]:
        """0 or 1 for each name on the image's grid, H W C or Z H W C; other segments are left out.

        Raises:
            SampleError: it is of another series, or does not lie on the grid.
        """
        with refusing_damage():
            return self._drawn_on(image, names)

    def _drawn_on(self, image: Raster, names: Sequence[str]) -> NDArray[np.uint8]:
        self._require_series(image)
        header = image.header
        planes = () if header.planes is None else (header.planes,)
        drawn = np.zeros((*planes, header.height, header.width, len(names)), np.uint8)
        channel = {number: names.index(name) for number, name in self.segments.items() if name in names}
        is_labelmap = text_of(self._dicom, "SegmentationType") == "LABELMAP"
        for index, frame in enumerate(self._frames):
            if header.planes is None and not self._is_of(index, image):
                continue
            at = self._indices(index, image)
            for number in self._numbers(index, is_labelmap):
                if number in channel:
                    found = (frame == number) if is_labelmap else frame > 0
                    drawn[(*(axis[found] for axis in at), channel[number])] = 1
        return drawn

    @cached_property
    def _frames(self) -> NDArray[Any]:
        frames = stored_pixels(self._dicom)
        return frames[None] if frames.ndim == 2 else frames

    def _frame_planes(self) -> list[Plane] | None:
        """None where frames do not say where they lie, as those of an X-ray."""
        if frame_item(self._dicom, 0, "PlanePositionSequence") is None:
            return None
        return frame_planes(self._dicom)

    def _numbers(self, index: int, is_labelmap: bool) -> Sequence[int]:
        if is_labelmap:
            return tuple(self.segments)
        item = frame_item(self._dicom, index, "SegmentIdentificationSequence")
        try:
            return (int(item.ReferencedSegmentNumber),)  # type: ignore[union-attr]
        except (AttributeError, TypeError, ValueError):
            raise SampleError("damaged DICOM SEG: a frame names no segment") from None

    def _indices(self, index: int, image: Raster) -> tuple[NDArray[np.intp], ...]:
        """Index of each of a frame's pixels in the image, an array for each axis."""
        rows, columns = (int(size) for size in self._frames.shape[1:])
        down, across = np.mgrid[:rows, :columns]
        header = image.header
        if header.planes is None:
            if (rows, columns) != (header.height, header.width):
                raise SampleError(
                    f"frames of the segmentation are {rows}x{columns}, the image "
                    f"{header.height}x{header.width}"
                )
            return down, across
        if self._planes is None or not image.space.affine:
            raise SampleError(
                "the segmentation or the image does not say where it lies; they cannot be joined"
            )
        plane = self._planes[index]
        # (z, y, x, 1) <- mm (RAS) <- row, column of the frame
        to_index = np.linalg.inv(np.array(image.space.affine))[:3]
        steps = to_index[:, :3] @ (np.stack([plane.down, plane.across], axis=1) * _LPS_TO_RAS[:, None])
        start = to_index @ [*(plane.position * _LPS_TO_RAS), 1]
        corners = np.array([[0, rows - 1, 0, rows - 1], [0, 0, columns - 1, columns - 1]])
        whole_steps, whole_start = np.rint(steps), np.rint(start)
        error = np.abs((steps - whole_steps) @ corners + (start - whole_start)[:, None]).max()
        if error > _OFF_GRID:
            raise SampleError(
                f"the segmentation lies {error:.3g} voxels off the image's grid; resample it to the image"
            )
        at = [
            (whole_start[axis] + whole_steps[axis, 0] * down + whole_steps[axis, 1] * across).astype(np.intp)
            for axis in range(3)
        ]
        sizes = (header.planes, header.height, header.width)
        if any(axis.min() < 0 or axis.max() >= size for axis, size in zip(at, sizes, strict=True)):
            raise SampleError("the segmentation reaches beyond the image; it is of a larger series")
        return tuple(at)

    def _is_of(self, index: int, image: Raster) -> bool:
        """Whether a frame is of this picture rather than of another one of its series."""
        derived = frame_item(self._dicom, index, "DerivationImageSequence")
        sources = (derived.get("SourceImageSequence") if derived is not None else None) or ()
        of = {text_of(item, "ReferencedSOPInstanceUID") for item in sources}
        if of and isinstance(image, FromSeries):
            return bool(of & image.instances)
        if frame_count(self._dicom) > len(self.segments):
            raise SampleError(
                "frames of the segmentation do not say of which image they are; pair whole series"
            )
        return True

    def _require_series(self, image: Raster) -> None:
        if not isinstance(image, FromSeries):
            return
        of = [
            text_of(item, "SeriesInstanceUID") for item in self._dicom.get("ReferencedSeriesSequence") or ()
        ]
        if of and image.series not in of:
            raise SampleError(
                "the segmentation refers to another series than the image's; pair it with its own"
            )
