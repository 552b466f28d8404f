"""TIFF through rasterio: any number of bands, a place on the Earth, nodata and masks, read by windows.

Only the file itself counts: world files, .aux.xml and overviews beside it are not looked at. A mask's nodata
value marks pixels that never count, except 0, which is its background.

Arrays: H W C.
"""

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from unetpp.data.images.header import (
    Header,
    SampleError,
    UndecidedError,
    canonical,
    canonical_dtype,
    check_limits,
)
from unetpp.data.images.tiff.nodata import valid_pixels
from unetpp.data.sources.files import FileRef, content_digest, open_parts, source_storage
from unetpp.data.sources.raster import Box, Pixels, Space

__all__ = ["environment", "open_image", "open_labels", "space_of"]

# What GDAL writes about odd tags says nothing about the pixels; what is wrong with a file is raised.
logging.getLogger("rasterio").setLevel(logging.CRITICAL)

_CACHE_BYTES = 64 * 2**20
"""Decoded blocks that GDAL keeps; its default is a twentieth of the machine's memory."""
_MAX_BLOCK_BYTES = 256 * 2**20


class _GeoTiff:
    """An open file; `block_px` says that windows are read without the rest."""

    def __init__(self, ref: FileRef, dataset: rasterio.DatasetReader, *, labels: bool) -> None:
        self._ref, self._dataset, self._labels = ref, dataset, labels
        self._bands = [
            band
            for band, meaning in zip(dataset.indexes, dataset.colorinterp, strict=True)
            if meaning != ColorInterp.alpha or (ref.reading.alpha == "keep" and not labels)
        ]
        self._alpha = [band for band in dataset.indexes if band not in self._bands]
        self._palette = None if labels else _palette(dataset)
        _check(dataset, self._bands)

    @cached_property
    def block_px(self) -> tuple[int, int]:
        """Height and width of the blocks the file is made of."""
        height, width = self._dataset.block_shapes[0]
        return height, width

    @cached_property
    def header(self) -> Header:
        channels = len(self._bands) if self._palette is None else 3
        dtype = np.dtype(np.uint8 if self._palette is not None else self._dataset.dtypes[0])
        masked = any(flags != [MaskFlags.all_valid] for flags in self._dataset.mask_flag_enums)
        header = Header(
            self._dataset.height, self._dataset.width, channels, canonical_dtype(dtype), may_lack_data=masked
        )
        return check_limits(header, by_windows=True)

    @cached_property
    def space(self) -> Space:
        return space_of(self._dataset)

    @cached_property
    def digest(self) -> bytes:
        return content_digest(self._ref)

    def read(self, box: Box | None = None) -> Pixels:
        header = self.header
        box = box or Box(0, 0, header.height, header.width)
        check_limits(Header(box.height, box.width, header.channels, header.dtype))
        window = Window(box.left, box.top, box.width, box.height)
        try:
            # (band, row, column) -> (row, column, band)
            stored = np.moveaxis(self._dataset.read(self._bands, window=window), 0, -1)
            valid = self._valid(stored, window)
        except (RasterioError, ValueError) as error:
            raise SampleError(f"truncated or damaged TIFF: {_cause(error)}") from error
        return Pixels(self._values(stored, valid), valid)

    def _values(self, stored: NDArray[Any], valid: NDArray[np.bool_] | None) -> NDArray[Any]:
        if self._palette is not None:
            return np.asarray(self._palette[stored[..., 0]])
        if self._dataset.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES":
            stored = np.asarray(np.iinfo(stored.dtype).max - stored)
        if self._labels:
            return _whole_numbers(stored, valid)
        return canonical(stored)

    def _valid(self, stored: NDArray[Any], window: Window) -> NDArray[np.bool_] | None:
        nodata = self._dataset.nodata
        known = None if nodata is None or (self._labels and nodata == 0) else valid_pixels(stored, nodata)
        if not self._labels:
            for shown in self._shown(window):
                known = shown if known is None else known & shown
        return None if known is None or known.all() else known

    def _shown(self, window: Window) -> Iterator[NDArray[np.bool_]]:
        """Where an alpha band and a mask inside the file show pixels."""
        for band in self._alpha:
            alpha = self._dataset.read(band, window=window)
            opaque = np.iinfo(alpha.dtype).max if alpha.dtype.kind in "iu" else 1
            if self._ref.reading.alpha is None and not ((alpha == 0) | (alpha == opaque)).all():
                raise UndecidedError(
                    f"band {band} is tagged as alpha but holds other values than transparent and opaque; "
                    "--alpha keep takes it for data, such as near infrared that programs tag so, "
                    "--alpha drop leaves it out"
                )
            yield alpha != 0
        flags = [flag for flags in self._dataset.mask_flag_enums for flag in flags]
        if MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags:
            yield self._dataset.dataset_mask(window=window) != 0


@contextmanager
def open_image(ref: FileRef) -> Iterator[_GeoTiff]:
    """See `registry`."""
    with _opened(ref) as dataset:
        yield _GeoTiff(ref, dataset, labels=False)


@contextmanager
def open_labels(ref: FileRef) -> Iterator[_GeoTiff]:
    """See `registry`."""
    with _opened(ref) as dataset:
        yield _GeoTiff(ref, dataset, labels=True)


def environment() -> rasterio.Env:
    """GDAL with a bounded cache, which looks at no other file than the one it is given."""
    return rasterio.Env(
        GDAL_CACHEMAX=_CACHE_BYTES,
        GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR",
        GDAL_PAM_ENABLED=False,
        CPL_LOG_ERRORS=False,
    )


def space_of(dataset: rasterio.DatasetReader) -> Space:
    """Where an open file's pixels lie; empty without a transform and a reference system."""
    transform = dataset.transform
    if dataset.crs is None and transform.is_identity:
        return Space()
    spacing = (float(np.hypot(transform.b, transform.e)), float(np.hypot(transform.a, transform.d)))
    return Space(
        spacing=spacing,
        unit="" if dataset.crs is None else str(dataset.crs.units_factor[0]),
        crs="" if dataset.crs is None else dataset.crs.to_wkt(version="WKT2_2019"),
        transform=tuple(map(float, transform[:6])),
    )


@contextmanager
def _opened(ref: FileRef) -> Iterator[rasterio.DatasetReader]:
    storage = source_storage(ref.root)

    with environment(), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            if storage.is_local:
                dataset = rasterio.open(storage.local_path(ref.path), driver="GTiff")
            else:
                dataset = rasterio.open(ref.path, driver="GTiff", opener=_opener(ref))
            with dataset:
                yield dataset
        except RasterioError as error:
            raise SampleError(f"damaged TIFF header: {_cause(error)}") from error
        except Exception as error:
            # GDAL's own errors, which rasterio lets through where keys are damaged, have no public base.
            if not type(error).__module__.startswith("rasterio."):
                raise
            raise SampleError(f"damaged TIFF: {error}") from error


def _opener(ref: FileRef) -> Callable[..., io.BufferedReader]:
    """What rasterio asks for the file, whatever name and mode it says."""
    return lambda *_args, **_options: open_parts(ref)


def _check(dataset: rasterio.DatasetReader, bands: list[int]) -> None:
    if dataset.subdatasets:
        raise SampleError(f"the TIFF holds {len(dataset.subdatasets)} images; save one image per file")
    if not bands:
        raise SampleError("the TIFF holds nothing but an alpha band")
    height, width = dataset.block_shapes[0]
    samples = len(bands) if dataset.interleaving is not None and dataset.interleaving.value == "PIXEL" else 1
    if height * width * samples * np.dtype(dataset.dtypes[0]).itemsize > _MAX_BLOCK_BYTES:
        raise SampleError(
            f"its blocks of {height}x{width} pixels exceed {_MAX_BLOCK_BYTES} bytes; "
            "save it in tiles: rio convert --co TILED=YES, or gdal_translate -co TILED=YES"
        )


def _palette(dataset: rasterio.DatasetReader) -> NDArray[np.uint8] | None:
    """RGB of every value, (values, 3), of an image whose pixels are indices of colours."""
    if dataset.colorinterp[0] != ColorInterp.palette or dataset.count > 1:
        return None
    if dataset.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES":
        return None
    size = 2 ** (8 * np.dtype(dataset.dtypes[0]).itemsize)
    colours = np.zeros((size, 3), np.uint8)
    for value, colour in dataset.colormap(1).items():
        colours[value] = colour[:3]
    return colours


def _whole_numbers(stored: NDArray[Any], valid: NDArray[np.bool_] | None) -> NDArray[Any]:
    if valid is not None:
        stored = np.where(valid[..., None], stored, np.zeros(1, stored.dtype))
    if canonical_dtype(stored.dtype) != "float32":
        return canonical(stored)
    in_range = bool(((stored >= 0) & (stored <= np.iinfo(np.uint16).max)).all())
    if not in_range or not np.array_equal(stored, np.rint(stored)):
        raise SampleError("the values of a mask must be class indices 0, 1, 2 ...")
    return stored.astype(np.uint16)


def _cause(error: BaseException) -> str:
    """What GDAL says, below what rasterio says of it."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error)
