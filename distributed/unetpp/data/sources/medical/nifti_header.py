"""What a NIfTI header says, checked: the affine in use, the axes, the coding of the values."""

import logging
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from unetpp.data.images.header import MAX_CHANNELS, Dtype, Header, SampleError, canonical_dtype, check_limits
from unetpp.data.sources.medical.orientation import Orientation, orientation_of

__all__ = ["NiftiHeader", "load_nifti", "read_nifti_header"]

logger = logging.getLogger(__name__)

_MM = {"meter": 1000.0, "mm": 1.0, "micron": 1e-3, "unknown": 1.0}
_TIME_UNITS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6}
_TIME_SERIES = 2001
"""NIFTI_INTENT_TIME_SERIES"""
_MAX_RATIO = 1100
"""Bytes from one of gzip, whose best is 1032."""
_CONFLICT_MM = 0.1


@dataclass(frozen=True)
class NiftiHeader:
    """A file's grid: `shape` are the stored sizes of its spatial axes, `affine` is theirs in mm (RAS)."""

    shape: tuple[int, int, int]
    channels: int
    dtype: Dtype
    affine: NDArray[np.float64]
    orientation: Orientation
    scaled: bool
    """Whether values are stored with a slope and an intercept."""

    @property
    def header(self) -> Header:
        """In canonical axes."""
        planes, height, width = self.orientation.shape(self.shape)
        return Header(height, width, self.channels, self.dtype, planes)


def load_nifti(path: Path) -> Any:
    """A nibabel image whose values are not read yet.

    Raises:
        SampleError: damaged, or Analyze 7.5.
    """
    try:
        image = nibabel.load(path)
    # Its readers raise what they meet: of gzip, of struct, of NumPy.
    except Exception as error:
        raise SampleError(f"damaged NIfTI header: {error}") from error
    if not isinstance(image, nibabel.Nifti1Pair):
        raise SampleError(
            f"the file is {type(image).__name__.removesuffix('Image')}, not NIfTI, and does not tell left "
            "from right; convert it with a program that knows its orientation"
        )
    return image


def read_nifti_header(image: Any, name: str, file_bytes: int) -> NiftiHeader:
    """The grid of a loaded file.

    Args:
        image: from `load_nifti`.
        name: to warn by.
        file_bytes: its size, where gzip packed it; 0 does not check.

    Raises:
        SampleError: no grid of voxels, a time series, or a size that no honest file has.
    """
    shape, channels = _axes(image)
    stored = image.get_data_dtype()
    if stored.fields is not None:
        channels, stored = channels * len(stored.fields), np.dtype(np.uint8)
    # nibabel takes the slope out of the header that it hands out.
    scaled = (image.dataobj.slope, image.dataobj.inter) != (1.0, 0.0)
    affine = _affine(image, name)
    found = NiftiHeader(
        shape,
        channels,
        "float32" if scaled else canonical_dtype(stored),
        affine,
        orientation_of(affine),
        scaled,
    )
    check_limits(found.header)
    expected = int(np.prod(shape)) * channels * stored.itemsize
    if file_bytes and expected > file_bytes * _MAX_RATIO:
        raise SampleError(
            f"{expected} bytes of voxels from {file_bytes} (truncated, or a decompression bomb)"
        )
    return found


def _axes(image: Any) -> tuple[tuple[int, int, int], int]:
    """Sizes of the spatial axes, and the channels; axes of one voxel at the end are no axes."""
    sizes = list(image.shape)
    while len(sizes) > 3 and sizes[-1] == 1:
        sizes.pop()
    sizes += [1] * (3 - len(sizes))
    if min(sizes, default=0) < 1:
        raise SampleError(f"the image is empty: {image.shape}")
    if len(sizes) == 5 and sizes[3] == 1:
        # NIfTI keeps vectors on the fifth axis.
        return (sizes[0], sizes[1], sizes[2]), sizes[4]
    if len(sizes) > 4:
        raise SampleError(
            f"NIfTI axes {image.shape} are more than x, y, z and channels; save one volume per file"
        )
    if len(sizes) == 4:
        _require_channels(image.header, sizes[3])
        return (sizes[0], sizes[1], sizes[2]), sizes[3]
    return (sizes[0], sizes[1], sizes[2]), 1


def _require_channels(header: Any, volumes: int) -> None:
    """Raises SampleError where the fourth axis is time: its step is not the placeholder 0 or 1."""
    step = float(header["pixdim"][4])
    unit = header.get_xyzt_units()[1]
    is_timed = unit in _TIME_UNITS and step not in (0.0, 1.0)
    if is_timed or int(header["intent_code"]) == _TIME_SERIES or volumes > MAX_CHANNELS:
        every = f" every {step * _TIME_UNITS.get(unit, 1.0):g} s" if is_timed else ""
        raise SampleError(
            f"the file is a time series of {volumes} volumes{every}; save one volume per file, or their mean "
            "(channels are a fourth axis without a time step)"
        )


def _affine(image: Any, name: str) -> NDArray[np.float64]:
    header = image.header
    qform, qcode = header.get_qform(coded=True)
    sform, scode = header.get_sform(coded=True)
    if qcode and scode and not _agree(qform, sform, image.shape):
        _warn_once(
            f"{name}: the header holds two places of the volume that disagree, qform (code {qcode}) and "
            f"sform (code {scode}); the sform is used, as nibabel does (ITK may use the qform)"
        )
    if not qcode and not scode:
        _warn_once(
            f"{name}: the header tells no orientation (qform and sform codes are 0); "
            "its axes are taken for left, anterior, superior"
        )
    affine = np.array(image.affine, dtype=np.float64)
    affine[:3] *= _MM.get(header.get_xyzt_units()[0], 1.0)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise SampleError(
            f"the affine is no grid: {np.round(affine, 4).tolist()}; set the sform or the qform"
        )
    return affine


def _agree(first: NDArray[Any], second: NDArray[Any], shape: tuple[int, ...]) -> bool:
    last = np.array([(size - 1) for size in (*shape, 1, 1)[:3]])
    corners = np.array(np.meshgrid(*([0, end] for end in last))).reshape(3, -1)
    difference = (first - second)[:3]
    return bool(np.abs(difference[:, :3] @ corners + difference[:, 3:]).max() <= _CONFLICT_MM)


@lru_cache(maxsize=1024)
def _warn_once(text: str) -> None:
    """A file is opened in each pass over a data set."""
    logger.warning("%s", text)
