"""Cut an image or volume into boxes that cover it."""

from unetpp.data.sources.raster import Box

__all__ = ["tile_boxes"]


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


def _starts(length: int, tile_px: int) -> list[int]:
    if length <= tile_px:
        return [0]
    return [min(start, length - tile_px) for start in range(0, length, tile_px)]
