"""OME-TIFF and ImageJ files: axes and pixel sizes from their metadata; pictures are read as other TIFF files
are."""

import hashlib
import io
import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile
from numpy.typing import NDArray

from unetpp.data.images.header import Header, SampleError, canonical
from unetpp.data.images.tiff import check_segments
from unetpp.data.sources import picture
from unetpp.data.sources.files import FileRef, read_file
from unetpp.data.sources.microscopy.axes import UNITS_UM, canonical_labels, header_of, space_of, standard
from unetpp.data.sources.raster import Box, Pixels, Raster, Space

__all__ = ["canonical_image", "open_image", "open_labels"]

logger = logging.getLogger(__name__)

_STACKED = set("ZT")
_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@contextmanager
def open_image(ref: FileRef) -> Iterator[Raster]:
    """See `registry`."""
    data = read_file(ref)
    facts = _Facts.of(data)
    if facts is not None and facts.is_stack:
        yield _Stack(data, facts, canonical_image)
        return
    with picture.open_image(ref) as raster:
        yield raster if facts is None else _Placed(raster, facts.space)


@contextmanager
def open_labels(ref: FileRef) -> Iterator[Raster]:
    """See `registry`."""
    data = read_file(ref)
    facts = _Facts.of(data)
    if facts is not None and facts.is_stack:
        yield _Stack(data, facts, canonical_labels)
        return
    with picture.open_labels(ref) as raster:
        yield raster


def canonical_image(array: NDArray[Any]) -> NDArray[Any]:
    """Pixels in the stored dtype.

    Raises:
        SampleError: NaN or Inf.
    """
    pixels = canonical(array)
    if pixels.dtype == np.float32 and not np.isfinite(pixels).all():
        raise SampleError("the image holds NaN or Inf; replace them")
    return pixels


class _Facts:
    """What the metadata of an OME or ImageJ file say."""

    def __init__(self, axes: str, shape: tuple[int, ...], dtype: np.dtype[Any], um: dict[str, float]) -> None:
        self.axes, self.shape, self.dtype = axes, shape, dtype
        self.is_stack = any(axis in _STACKED for axis in axes)
        self.space = space_of(um, is_volume="Z" in axes)

    @classmethod
    def of(cls, data: bytes) -> "_Facts | None":
        """None for a file without such metadata; what is damaged, the plain reader tells.

        Raises:
            SampleError: an OME file of several images.
        """
        if not data.startswith(_TIFF_MAGIC):
            return None
        try:
            with tifffile.TiffFile(io.BytesIO(data)) as tiff:
                if not (tiff.is_ome or tiff.is_imagej):
                    return None
                series = tiff.series
                axes, shape, dtype = series[0].axes, series[0].shape, series[0].dtype
                um = _ome_um(tiff.ome_metadata or "") if tiff.is_ome else _imagej_um(tiff)
                count = len(series) if tiff.is_ome else 1
        except Exception:
            return None
        if count > 1:
            raise SampleError(f"the OME-TIFF holds {count} images; save each as a file of its own")
        return cls(axes, shape, dtype, um)


class _Placed:
    """A picture whose pixels have a size."""

    def __init__(self, raster: Raster, space: Space) -> None:
        self._raster, self.space = raster, space

    @property
    def header(self) -> Header:
        return self._raster.header

    @property
    def digest(self) -> bytes:
        return self._raster.digest

    def read(self, box: Box | None = None) -> Pixels:
        return self._raster.read(box)


class _Stack:
    """A volume, decoded whole when first asked for."""

    def __init__(self, data: bytes, facts: _Facts, convert: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
        self._data, self._facts, self._convert = data, facts, convert
        self.space = facts.space

    @cached_property
    def header(self) -> Header:
        return header_of(self._facts.axes, self._facts.shape, self._facts.dtype)

    @cached_property
    def digest(self) -> bytes:
        return hashlib.sha256(self._data).digest()

    def read(self, box: Box | None = None) -> Pixels:
        if box is None:
            return Pixels(self._whole)
        rows, columns = slice(box.top, box.top + box.height), slice(box.left, box.left + box.width)
        return Pixels(self._whole[..., rows, columns, :])

    @cached_property
    def _whole(self) -> NDArray[Any]:
        header = self.header
        with tifffile.TiffFile(io.BytesIO(self._data)) as tiff:
            check_segments(tiff, len(self._data))
            try:
                array = tiff.series[0].asarray()
            # Codecs raise their own classes; whatever it is, this file cannot be decoded.
            except Exception as error:
                raise SampleError(f"truncated or damaged TIFF: {error}") from error
        if array.shape != self._facts.shape:
            raise SampleError(f"truncated or damaged TIFF: pixels {array.shape} differ from the header")
        pixels = self._convert(standard(array, self._facts.axes))
        planes = () if header.planes is None else (header.planes,)
        if pixels.shape != (*planes, header.height, header.width, header.channels):
            raise SampleError(f"pixels {pixels.shape} differ from the file's header")
        return pixels


def _ome_um(xml: str) -> dict[str, float]:
    """Pixel sizes in micrometres, by axis, of the first image."""
    pixels = next(e for e in ElementTree.fromstring(xml).iter() if e.tag.endswith("}Pixels"))
    found: dict[str, float] = {}
    for axis in "XYZ":
        size, unit = pixels.get(f"PhysicalSize{axis}"), pixels.get(f"PhysicalSize{axis}Unit", "µm")
        factor = UNITS_UM.get(unit.lower())
        if size is not None and factor is not None:
            found[axis] = float(size) * factor
    return found


def _imagej_um(tiff: tifffile.TiffFile) -> dict[str, float]:
    metadata = tiff.imagej_metadata or {}
    factor = UNITS_UM.get(str(metadata.get("unit", "")).lower())
    if factor is None:
        return {}
    found = {}
    for axis, tag in (("X", "XResolution"), ("Y", "YResolution")):
        numerator, denominator = tiff.pages.first.tags[tag].value if tag in tiff.pages.first.tags else (0, 1)
        if numerator > 0:
            found[axis] = factor * denominator / numerator
    if math.isfinite(depth := float(metadata.get("spacing", math.nan))):
        found["Z"] = depth * factor
    return found
