"""Rasters that may exceed memory, gone through strip by strip."""

from collections.abc import Iterator

import numpy as np

from unetpp.data.sources.raster import Box, Raster, Windowed

__all__ = ["strips_of"]

_STRIP_BYTES = 32 * 2**20


def strips_of(raster: Raster) -> Iterator[Box | None]:
    """Boxes of whole rows that cover a raster, in order; None, all at once, for one that is decoded whole."""
    if not isinstance(raster, Windowed) or raster.header.planes is not None:
        yield None
        return
    header = raster.header
    row_bytes = header.width * header.channels * np.dtype(header.dtype).itemsize
    block = min(raster.block_px[0], header.height)
    # Whole blocks, so that none is decoded twice.
    rows = max(1, _STRIP_BYTES // (row_bytes * block)) * block
    for top in range(0, header.height, rows):
        yield Box(top, 0, min(rows, header.height - top), header.width)
