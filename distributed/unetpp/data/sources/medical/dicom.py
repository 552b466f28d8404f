"""DICOM: a series of slices in a folder or a multi-frame file as a volume, any other image as a picture."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetpp.data.images.header import Header, SampleError, canonical, check_limits
from unetpp.data.sources.files import FileRef, local_path
from unetpp.data.sources.medical.dicom_file import decode, header_of, open_dicom, refusing_damage, text_of
from unetpp.data.sources.medical.dicom_frames import frame_count, frame_planes, frame_rescales
from unetpp.data.sources.medical.dicom_seg import Segmentation, is_segmentation
from unetpp.data.sources.medical.dicom_series import (
    Stack,
    has_place,
    plane_of,
    require_one_series,
    stack_of,
)
from unetpp.data.sources.medical.labels import whole_labels
from unetpp.data.sources.medical.orientation import Orientation, orientation_of
from unetpp.data.sources.raster import Box, Pixels, Raster, Space, part_of

__all__ = ["DicomImage", "dicom_paths", "open_image", "open_labels"]


class DicomImage:
    """Files on this machine; pixels are decoded once, when first asked for."""

    def __init__(self, paths: list[Path], *, labels: bool) -> None:
        self._paths, self._labels = paths, labels
        self.slices = [open_dicom(path) for path in paths]
        with refusing_damage():
            self._check()
            self.header = check_limits(self._read_header())
            self.space = self._read_space()

    def _check(self) -> None:
        if text_of(self.slices[0], "Modality") == "SEG":
            raise SampleError("a DICOM SEG is no image; name its folder as --masks")
        if len(self.slices) > 1:
            require_one_series(self.slices)

    @property
    def series(self) -> str:
        """SeriesInstanceUID."""
        return text_of(self.slices[0], "SeriesInstanceUID")

    @property
    def instances(self) -> frozenset[str]:
        """SOPInstanceUID of each file."""
        return frozenset(text_of(dicom, "SOPInstanceUID") for dicom in self.slices)

    @cached_property
    def stack(self) -> Stack | None:
        """Order and grid of the slices of a volume; None of a picture."""
        first = self.slices[0]
        if len(self.slices) == 1:
            return stack_of(frame_planes(first)) if frame_count(first) > 1 else None
        return stack_of(
            [
                plane_of(
                    dicom.get("ImagePositionPatient"),
                    dicom.get("ImageOrientationPatient"),
                    dicom.get("PixelSpacing"),
                    dicom.get("SliceThickness"),
                )
                for dicom in self.slices
            ]
        )

    def _read_space(self) -> Space:
        if self.stack is None:
            return self._picture_space()
        affine = self.orientation.affine(self.stack.affine, self._stored_shape)
        spacing = tuple(float(length) for length in np.linalg.norm(affine[:3, :3], axis=0))
        return Space(spacing, "mm", tuple(tuple(map(float, row)) for row in affine))

    @cached_property
    def digest(self) -> bytes:
        files = sorted(hashlib.sha256(path.read_bytes()).digest() for path in self._paths)
        return hashlib.sha256(b"".join(files)).digest()

    def read(self, box: Box | None = None) -> Pixels:
        return part_of(Pixels(self._whole), box)

    @cached_property
    def _whole(self) -> NDArray[Any]:
        with refusing_damage():
            return self._decode()

    def _decode(self) -> NDArray[Any]:
        stored = self._stored()
        if self.stack is not None:
            stored = self.orientation.to_canonical(stored[list(self.stack.order)])
        if self._labels:
            return np.ascontiguousarray(whole_labels(stored))
        values = canonical(stored)
        if self.header.dtype == "float32":
            values = values.astype(np.float32, copy=False)
        expected = (self.header.height, self.header.width, self.header.channels)
        if values.shape[-3:] != expected or values.dtype.name != self.header.dtype:
            raise SampleError(
                f"damaged DICOM: pixels {values.shape} {values.dtype} differ from the header's {expected} "
                f"{self.header.dtype}"
            )
        return values

    def _stored(self) -> NDArray[Any]:
        if len(self._paths) > 1:
            return np.stack([decode(open_dicom(path, pixels=True)) for path in self._paths])
        dicom = open_dicom(self._paths[0], pixels=True)
        values = decode(dicom)
        rescales = frame_rescales(dicom) if self.stack is not None else []
        if any(rescale != (1.0, 0.0) for rescale in rescales):
            scale = np.array(rescales).T[..., None, None, None]
            values = values * scale[0] + scale[1]
        return values

    def _read_header(self) -> Header:
        found = header_of(self.slices[0])
        dtypes = {header_of(dicom).dtype for dicom in self.slices}
        if len(dtypes) > 1 or self._frames_are_scaled():
            found = replace(found, dtype="float32")
        if self.stack is None:
            return found
        planes, height, width = self.orientation.shape(self._stored_shape)
        return replace(found, planes=planes, height=height, width=width)

    def _frames_are_scaled(self) -> bool:
        if len(self.slices) > 1 or self.stack is None:
            return False
        return any(rescale != (1.0, 0.0) for rescale in frame_rescales(self.slices[0]))

    @property
    def ordered(self) -> list[Any]:
        """Headers of the files, those of slices in the order of `stack`."""
        return (
            self.slices
            if len(self.slices) == 1 or self.stack is None
            else [self.slices[i] for i in self.stack.order]
        )

    @property
    def orientation(self) -> Orientation:
        """Of the stack's axes: slice, row, column."""
        if self.stack is None:
            raise ValueError("a picture has no orientation")
        return orientation_of(self.stack.affine)

    @property
    def _stored_shape(self) -> tuple[int, int, int]:
        found = header_of(self.slices[0])
        planes = len(self.slices) if len(self.slices) > 1 else frame_count(self.slices[0])
        return planes, found.height, found.width

    def _picture_space(self) -> Space:
        dicom = self.slices[0]
        spacing = dicom.get("PixelSpacing") or dicom.get("ImagerPixelSpacing")
        if not spacing:
            return Space()
        if has_place(dicom):
            plane_of(dicom.ImagePositionPatient, dicom.ImageOrientationPatient, spacing)
        try:
            return Space((float(spacing[0]), float(spacing[1])), "mm")
        except (TypeError, ValueError, IndexError):
            return Space()


@contextmanager
def open_image(ref: FileRef) -> Iterator[Raster]:
    """See `registry`."""
    with dicom_paths(ref) as paths:
        yield DicomImage(paths, labels=False)


@contextmanager
def open_labels(ref: FileRef) -> Iterator[Raster]:
    """See `registry`; segments of a DICOM SEG are numbered by their names."""
    with dicom_paths(ref) as paths:
        yield Segmentation(paths[0]) if is_segmentation(paths) else DicomImage(paths, labels=True)


@contextmanager
def dicom_paths(ref: FileRef) -> Iterator[list[Path]]:
    """The files of an image on this machine."""
    with local_path(ref) as path:
        below = len(ref.path) + 1 if ref.path != "." else 0
        yield [path / member[below:] for member in ref.members] or [path]
