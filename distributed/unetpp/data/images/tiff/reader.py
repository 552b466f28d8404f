"""TIFF files to arrays.

Shapes: H W C of a picture, Z H W C of a volume.
"""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from unetpp.data.images.header import (
    Header,
    SampleError,
    UndecidedError,
    canonical,
    canonical_dtype,
    check_limits,
)
from unetpp.data.images.mask_facts import MaskFacts
from unetpp.data.images.pixels import Pixels, Reading
from unetpp.data.images.tiff.alpha import alpha_bands, kept_bands, require_no_alpha_mask
from unetpp.data.images.tiff.colours import from_palette, has_palette, is_inverted, non_negative
from unetpp.data.images.tiff.layout import Layout, find_layout
from unetpp.data.images.tiff.nodata import nodata_of, valid_pixels
from unetpp.data.images.tiff.orientation import TRANSPOSED, orientation, upright

__all__ = ["header", "index_pixels", "mask_facts", "pixels"]

# Its warnings about odd tags say nothing about the pixels and would appear once per file.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)

_JPEG_COMPRESSIONS = {6, 7}
_MAX_RATIO = 10_000
"""Values per stored byte; deflate reaches 1032 bytes, which bilevel images make 8256 values."""


def header(data: bytes, reading: Reading) -> Header:
    """Shape and dtype; decodes only where a band is tagged as alpha and nothing was said of it.

    Raises:
        SampleError: damaged, or no picture and no volume.
        UndecidedError: a band tagged as alpha may be data.
    """
    with _open(data, reading) as (tiff, layout):
        stored = _stored_header(layout)
        page, notes = layout.page, list(layout.notes)
        alpha = alpha_bands(page, stored.channels)
        channels, dtype = stored.channels, stored.dtype
        if alpha:
            undecided = _decode(data, layout, stored) if reading.alpha is None else np.empty((1, channels))
            channels = len(kept_bands(undecided, alpha, reading))
            kept = "is kept as data" if channels == stored.channels else "is left out"
            notes.append(f"a band tagged as alpha {kept}")
        if has_palette(page):
            channels, dtype = 3, "uint8"
            notes.append("its palette's colours are read")
        if int(page.photometric) == tifffile.PHOTOMETRIC.MINISWHITE:
            how = "numbers are inverted" if is_inverted(tiff, page) else "numbers stay, as in ImageJ"
            notes.append(f"white is zero: {how}")
        turned = orientation(page)
        if turned != 1:
            notes.append(f"it is turned as its orientation {turned} says")
        height, width = stored.height, stored.width
        if turned in TRANSPOSED:
            height, width = width, height
        nodata = nodata_of(page)
        if nodata is not None:
            notes.append(f"pixels of its nodata value {nodata:g} are ignored")
        return check_limits(
            Header(
                height,
                width,
                channels,
                dtype,
                planes=stored.planes,
                may_lack_data=nodata is not None or layout.mask_page is not None,
                notes=tuple(notes),
            )
        )


def pixels(data: bytes, reading: Reading) -> Pixels:
    """The image without alpha, with colours for palettes.

    Raises:
        SampleError: damaged, or no picture and no volume.
        UndecidedError: a band tagged as alpha may be data.
    """
    with _open(data, reading) as (tiff, layout):
        page, stored = layout.page, _decode(data, layout, _stored_header(layout))
        values = stored[..., kept_bands(stored, alpha_bands(page, stored.shape[-1]), reading)]
        nodata = nodata_of(page)
        valid = None if nodata is None else valid_pixels(values, nodata)
        if layout.mask_page is not None:
            inside = _mask(layout.mask_page, len(data))
            valid = inside if valid is None else valid & inside
        if has_palette(page):
            values = from_palette(page, values)
        elif is_inverted(tiff, page):
            values = non_negative(values, int(page.bitspersample))
        return _finished(values, valid, layout)


def index_pixels(data: bytes, reading: Reading) -> Pixels:
    """A mask's values without alpha: palettes stay indices.

    Raises:
        SampleError: damaged, no picture and no volume, or a mask that only transparency shows.
    """
    with _open(data, reading) as (tiff, layout):
        page, stored = layout.page, _decode(data, layout, _stored_header(layout))
        alpha = alpha_bands(page, stored.shape[-1])
        require_no_alpha_mask(stored, alpha)
        values = stored[..., kept_bands(stored, alpha, Reading(alpha="drop"))]
        nodata = nodata_of(page)
        # Zero is the background of very many masks whose writer calls it no data as well.
        valid = None if not nodata else valid_pixels(values, nodata)
        if is_inverted(tiff, page):
            values = non_negative(values, int(page.bitspersample))
        return _finished(values, valid, layout)


def mask_facts(data: bytes, reading: Reading) -> MaskFacts:
    """How a mask stores its values.

    Raises:
        SampleError: damaged, or no picture and no volume.
    """
    with _open(data, reading) as (_, layout):
        page = layout.page
        palette = None
        if has_palette(page):
            palette = from_palette(page, np.arange(np.asarray(page.colormap).shape[1])[None, :, None])[0]
        is_lossy = int(page.compression) in _JPEG_COMPRESSIONS
        return MaskFacts("TIFF", is_lossy, int(page.bitspersample), palette)


@contextmanager
def _open(data: bytes, reading: Reading) -> Iterator[tuple[tifffile.TiffFile, Layout]]:
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as tiff:
            yield tiff, find_layout(tiff, reading)
    except (SampleError, UndecidedError, MemoryError):
        raise
    # Damaged tags fail anywhere in tifffile, wherever they are asked for.
    except Exception as error:
        raise SampleError(f"damaged TIFF: {error}") from error


def _stored_header(layout: Layout) -> Header:
    """Of the pixels as they are stored, before anything is turned or left out."""
    sizes = layout.sizes
    dtype = canonical_dtype(np.dtype(layout.series.dtype))
    return check_limits(Header(sizes["Y"], sizes["X"], sizes.get("C", 1), dtype, planes=sizes.get("Z")))


def _decode(data: bytes, layout: Layout, expected: Header) -> NDArray[Any]:
    """(Z) Y X C as stored."""
    _check_segments(layout.series.pages, len(data))
    try:
        array = layout.ordered(layout.series.asarray())
    # Codecs raise their own classes.
    except Exception as error:
        raise SampleError(f"truncated or damaged TIFF: {error}") from error
    planes = () if expected.planes is None else (expected.planes,)
    if array.shape != (*planes, expected.height, expected.width, expected.channels):
        raise SampleError(f"truncated or damaged TIFF: pixels {array.shape} differ from the header")
    return array


def _mask(page: Any, file_bytes: int) -> NDArray[np.bool_]:
    _check_segments([page], file_bytes)
    inside: NDArray[np.bool_] = np.asarray(page.asarray()) != 0
    return inside


def _finished(values: NDArray[Any], valid: NDArray[np.bool_] | None, layout: Layout) -> Pixels:
    turned, row_axis = orientation(layout.page), values.ndim - 3
    if valid is not None:
        valid = np.ascontiguousarray(upright(np.broadcast_to(valid, values.shape[:-1]), turned, row_axis))
    return Pixels(canonical(upright(values, turned, row_axis)), valid)


def _check_segments(pages: Any, file_bytes: int) -> None:
    """Raises SampleError where pixels are missing, for which tifffile would put zeros."""
    for page in pages:
        if page is None:
            raise SampleError("truncated or damaged TIFF: a page is missing")
        offsets, sizes = page.dataoffsets, page.databytecounts
        stored = sum(sizes)
        ends = [offset + size for offset, size in zip(offsets, sizes, strict=True)]
        whole = len(ends) == int(np.prod(page.chunked)) and min(sizes) > 0 and max(ends) <= file_bytes
        plain = page.compression == tifffile.COMPRESSION.NONE
        # Pixels of less than 8 bits are packed, of which `nbytes` knows nothing.
        if not whole or (plain and stored * 8 < page.size * int(page.keyframe.bitspersample)):
            raise SampleError("truncated or damaged TIFF: pixels are missing")
        if page.size > stored * _MAX_RATIO:
            raise SampleError(f"{page.size} values from {stored} bytes (decompression bomb?)")
