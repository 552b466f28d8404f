"""Cut an image or volume into boxes that cover it."""

from collections.abc import Iterator

import numpy as np

from unetpp.data.sources.raster import Box, Raster, Windowed

__all__ = ["strips_of", "tile_boxes"]

_STRIP_BYTES = 32 * 2**20


def tile_boxes(height: int, width: int, tile_px: int, *, planes: int | None = None) -> tuple[Box, ...]:
    """Non-overlapping squares, or cubes of a volume, row by row; the last of an axis is shifted inside.

    A side shorter than the tile is covered by one box of that side.
    """
    deep = None if planes is None else min(tile_px, planes)
    return tuple(
        Box(top, left, min(tile_px, height), min(tile_px, width), front, deep)
        for front in ([0] if planes is None else _starts(planes, tile_px))
        for top in _starts(height, tile_px)
        for left in _starts(width, tile_px)
    )


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


def _starts(length: int, tile_px: int) -> list[int]:
    if length <= tile_px:
        return [0]
    return [min(start, length - tile_px) for start in range(0, length, tile_px)]
