"""NIfTI volumes, `.nii` and `.nii.gz`, in any orientation and byte order."""

import hashlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetpp.data.images.header import Header, SampleError, canonical
from unetpp.data.sources.files import FileRef, local_path, location
from unetpp.data.sources.medical.labels import whole_labels
from unetpp.data.sources.medical.nifti_header import load_nifti, read_nifti_header
from unetpp.data.sources.raster import Box, Pixels, Space, part_of

__all__ = ["open_image", "open_labels"]


class _Volume:
    """A file on this machine; voxels are read once, when first asked for."""

    def __init__(self, path: Path, name: str, *, labels: bool) -> None:
        self._path, self._labels = path, labels
        self._image = load_nifti(path)
        compressed_bytes = path.stat().st_size if path.suffix == ".gz" else 0
        self._nifti = read_nifti_header(self._image, name, compressed_bytes)

    @property
    def header(self) -> Header:
        return self._nifti.header

    @cached_property
    def space(self) -> Space:
        affine = self._nifti.orientation.affine(self._nifti.affine, self._nifti.shape)
        spacing = tuple(float(length) for length in np.linalg.norm(affine[:3, :3], axis=0))
        return Space(spacing, "mm", tuple(tuple(map(float, row)) for row in affine))

    @cached_property
    def digest(self) -> bytes:
        return hashlib.sha256(self._path.read_bytes()).digest()

    def read(self, box: Box | None = None) -> Pixels:
        return part_of(Pixels(self._whole), box)

    @cached_property
    def _whole(self) -> NDArray[Any]:
        stored = self._stored()
        if stored.dtype.fields is not None:
            stored = np.stack([stored[name] for name in stored.dtype.fields], axis=-1)
        volume = self._nifti.orientation.to_canonical(stored.reshape(*self._nifti.shape, -1))
        if self._labels:
            return np.ascontiguousarray(whole_labels(volume))
        # Programs store the same values signed, unsigned or scaled: more than 8 bits are one type for all.
        values = canonical(volume)
        return values if self.header.dtype == "uint8" else values.astype(np.float32, copy=False)

    def _stored(self) -> NDArray[Any]:
        try:
            data = self._image.dataobj
            return np.asanyarray(data) if self._nifti.scaled else np.asanyarray(data.get_unscaled())
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise SampleError(f"truncated or damaged NIfTI: {error}") from error


@contextmanager
def open_image(ref: FileRef) -> Iterator[_Volume]:
    """See `registry`."""
    with local_path(ref) as path:
        yield _Volume(path, location(ref), labels=False)


@contextmanager
def open_labels(ref: FileRef) -> Iterator[_Volume]:
    """See `registry`."""
    with local_path(ref) as path:
        yield _Volume(path, location(ref), labels=True)
