"""OME-TIFF and ImageJ files: pixels as of any TIFF, and the sizes of pixels that their metadata tell."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from xml.etree import ElementTree

import tifffile

from unetpp.data.images.header import Header, SampleError
from unetpp.data.sources import picture
from unetpp.data.sources.files import FileRef, open_parts
from unetpp.data.sources.microscopy.axes import UNITS_UM, space_of
from unetpp.data.sources.raster import Box, Pixels, Raster, Space

__all__ = ["open_image", "open_labels"]


@contextmanager
def open_image(ref: FileRef) -> Iterator[Raster]:
    """See `registry`."""
    space = _space(ref)
    with picture.open_image(ref) as raster:
        yield raster if space is None else _Placed(raster, space)


@contextmanager
def open_labels(ref: FileRef) -> Iterator[Raster]:
    """See `registry`."""
    _space(ref)
    with picture.open_labels(ref) as raster:
        yield raster


class _Placed:
    """An image whose pixels have a size."""

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


def _space(ref: FileRef) -> Space | None:
    """None for a file without such metadata; what is damaged, the plain reader tells.

    Raises:
        SampleError: several images or time points.
    """
    with open_parts(ref) as file:
        try:
            with tifffile.TiffFile(file) as tiff:
                if not (tiff.is_ome or tiff.is_imagej):
                    return None
                series = tiff.series
                sizes = dict(zip(series[0].axes, series[0].shape, strict=True))
                um = _ome_um(tiff.ome_metadata or "") if tiff.is_ome else _imagej_um(tiff)
                count = len(series) if tiff.is_ome else 1
        # Whatever tifffile raises, the plain reader says what is wrong with such a file.
        except Exception:
            return None
    if count > 1:
        raise SampleError(f"the OME-TIFF holds {count} images; save each as a file of its own")
    if sizes.get("T", 1) > 1:
        raise SampleError(f"the file holds {sizes['T']} time points; save each as an image of its own")
    return space_of(um, is_volume="Z" in sizes)


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
