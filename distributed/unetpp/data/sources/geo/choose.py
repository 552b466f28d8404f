"""TIFF files, read by what they hold: those with a place on the Earth and very large ones through rasterio.

Both ways give the same pixels. Without rasterio the plain reader reads what it can, and what is lost is said.
"""

import logging
from contextlib import AbstractContextManager
from functools import lru_cache
from importlib.util import find_spec

import tifffile

from unetpp.data.images.header import MAX_PIXELS, SampleError
from unetpp.data.sources.files import FileRef, open_parts
from unetpp.data.sources.microscopy import tiff_stack
from unetpp.data.sources.raster import Raster

__all__ = ["has_place", "open_image", "open_labels"]

logger = logging.getLogger(__name__)

_PLACE_TAGS = (33550, 34264, 34735)
"""ModelPixelScale, ModelTransformation, GeoKeyDirectory."""


def open_image(ref: FileRef) -> AbstractContextManager[Raster]:
    """See `registry`."""
    if not _through_rasterio(ref):
        return tiff_stack.open_image(ref)
    from unetpp.data.sources.geo import geotiff

    return geotiff.open_image(ref)


def open_labels(ref: FileRef) -> AbstractContextManager[Raster]:
    """See `registry`."""
    if not _through_rasterio(ref):
        return tiff_stack.open_labels(ref)
    from unetpp.data.sources.geo import geotiff

    return geotiff.open_labels(ref)


def has_place(ref: FileRef) -> bool:
    """Whether a TIFF says where on the Earth it lies, and this installation can tell.

    Raises:
        UnreadFileError: it is missing or refused.
    """
    return _look(ref)[0] and _has_rasterio()


def _through_rasterio(ref: FileRef) -> bool:
    placed, is_large = _look(ref)
    if not (placed or is_large) or _has_rasterio():
        return placed or is_large
    if is_large:
        raise SampleError(
            f"more than {MAX_PIXELS} pixels are read by windows, which needs rasterio: "
            "pip install 'unetpp[geo]', or cut the image"
        )
    _say_lost_place()
    return False


def _look(ref: FileRef) -> tuple[bool, bool]:
    """Whether a file has a place and whether it is too large to be decoded whole; no damage is told here."""
    with open_parts(ref) as file:
        try:
            with tifffile.TiffFile(file) as tiff:
                page = tiff.pages.first
                placed = any(tag in page.tags for tag in _PLACE_TAGS)
                return placed, int(page.imagelength) * int(page.imagewidth) > MAX_PIXELS
        # Whatever tifffile raises, the plain reader says what is wrong with such a file.
        except Exception:
            return False, False


@lru_cache(maxsize=1)
def _has_rasterio() -> bool:
    return find_spec("rasterio") is not None


@lru_cache(maxsize=1)
def _say_lost_place() -> None:
    logger.warning(
        "GeoTIFF files are read as plain TIFF: where they lie on the Earth is not kept; "
        "pip install 'unetpp[geo]' keeps it"
    )
