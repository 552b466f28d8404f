"""A mask on another grid than its image, or in another reference system, taken onto its image's grid.

The value of an image pixel is that of the mask pixel in which its centre lies (nearest). Where the mask does
not reach, pixels are ignored.
"""

import hashlib
import logging
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.warp import transform as reproject

from unetpp.data.images.header import Header, SampleError
from unetpp.data.sources.raster import Box, Pixels, Raster, Space

__all__ = ["on_grid_of", "pixel_centres"]

logger = logging.getLogger(__name__)

_SAME_PX = 0.01
"""Grids that differ by less at every corner are one."""
_NODE_PX = 16
"""Distance of the centres that are projected; between them coordinates are interpolated."""
_READ_PIXELS = 2**20

Coordinates = NDArray[np.float64]


def on_grid_of(labels: Raster, image: Raster, name: str) -> Raster:
    """The labels as pixels of the image's grid; they themselves if they lie there already.

    Args:
        labels: with a transform and a reference system.
        image: likewise.
        name: of the mask's folder, for what is said.

    Raises:
        SampleError: they do not overlap.
    """
    if _lies_alike(labels, image):
        return labels
    aligned = _Aligned(labels, image)
    aligned.require_overlap()
    _say(name)
    return aligned


@dataclass(frozen=True)
class _Aligned:
    labels: Raster
    image: Raster

    @property
    def header(self) -> Header:
        return replace(self.labels.header, height=self.image.header.height, width=self.image.header.width)

    @property
    def space(self) -> Space:
        return self.image.space

    @cached_property
    def digest(self) -> bytes:
        grid = f"{self.header} {self.space.to_json()}".encode()
        return hashlib.sha256(self.labels.digest + grid).digest()

    @property
    def block_px(self) -> tuple[int, int]:
        """See `Windowed`."""
        return getattr(self.image, "block_px", (256, 256))

    def read(self, box: Box | None = None) -> Pixels:
        header = self.header
        box = box or Box(0, 0, header.height, header.width)
        # Coordinates take many times the memory of labels.
        height = max(1, _READ_PIXELS // box.width)
        parts = [
            self._read(Box(top, box.left, min(height, box.top + box.height - top), box.width))
            for top in range(box.top, box.top + box.height, height)
        ]
        inside = np.concatenate([valid for _, valid in parts])
        return Pixels(np.concatenate([values for values, _ in parts]), None if inside.all() else inside)

    def _read(self, box: Box) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        header, source = self.header, self.labels.header
        rows, columns = self._places(box)
        inside = (rows >= 0) & (rows < source.height) & (columns >= 0) & (columns < source.width)
        values = np.zeros((box.height, box.width, header.channels), np.dtype(header.dtype))
        if not inside.any():
            return values, inside
        rows, columns = rows[inside], columns[inside]
        top, left = int(rows.min()), int(columns.min())
        part = self.labels.read(Box(top, left, int(rows.max()) - top + 1, int(columns.max()) - left + 1))
        found = (rows - top, columns - left)
        values[inside] = part.values[found]
        if part.valid is not None:
            inside[inside] = part.valid[found]
        return values, inside

    def require_overlap(self) -> None:
        """Raises SampleError if no mask pixel lies in the image."""
        header, source = self.header, self.labels.header
        rows, columns = self._places(Box(0, 0, header.height, header.width), nodes_only=True)
        apart = (
            rows.max() < 0
            or rows.min() >= source.height
            or columns.max() < 0
            or columns.min() >= source.width
        )
        if apart:
            raise SampleError(
                "the mask lies elsewhere on the Earth than the image; "
                "is it that of another image, or its reference system wrong?"
            )

    def _places(self, box: Box, *, nodes_only: bool = False) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Row and column of the mask in which the centre of each of the box's pixels lies."""
        x, y = pixel_centres(self.image.space, box, self.labels.space.crs, nodes_only=nodes_only)
        columns, rows = _pixels_at(self.labels.space, x, y)
        return np.floor(rows).astype(np.int64), np.floor(columns).astype(np.int64)


def pixel_centres(
    space: Space, box: Box, crs: str, *, nodes_only: bool = False
) -> tuple[Coordinates, Coordinates]:
    """x and y of the centres of a box's pixels, or of nodes among them, in another reference system.

    Raises:
        SampleError: a centre has no place in that system.
    """
    rows, columns = _nodes(box.height), _nodes(box.width)
    x, y = _places_of(space.of_part(box.top, box.left), *np.meshgrid(columns + 0.5, rows + 0.5))
    if not _same_crs(space.crs, crs):
        shape = x.shape
        xs, ys = reproject(CRS.from_wkt(space.crs), CRS.from_wkt(crs), x.ravel(), y.ravel())
        x, y = np.reshape(xs, shape), np.reshape(ys, shape)
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise SampleError("the image reaches beyond the mask's reference system; reproject the mask")
    if nodes_only:
        return x, y
    return _between(x, rows, columns, box), _between(y, rows, columns, box)


def _nodes(length: int) -> NDArray[np.int64]:
    return np.unique(np.append(np.arange(0, length, _NODE_PX), length - 1))


def _between(
    values: NDArray[np.float64], rows: NDArray[np.int64], columns: NDArray[np.int64], box: Box
) -> NDArray[np.float64]:
    """Bilinear interpolation of values at nodes, (rows, columns), to every pixel of the box."""
    return _along(_along(values, rows, box.height).T, columns, box.width).T


def _along(values: NDArray[np.float64], nodes: NDArray[np.int64], length: int) -> NDArray[np.float64]:
    """Linear interpolation along the first axis."""
    if len(nodes) == 1:
        return values
    positions = np.arange(length)
    left = np.minimum(np.searchsorted(nodes, positions, side="right") - 1, len(nodes) - 2)
    weight = ((positions - nodes[left]) / (nodes[left + 1] - nodes[left]))[:, None]
    return np.asarray(values[left] * (1 - weight) + values[left + 1] * weight)


def _lies_alike(labels: Raster, image: Raster) -> bool:
    header, other = labels.header, image.header
    if (header.height, header.width) != (other.height, other.width) or not _same_crs(
        labels.space.crs, image.space.crs
    ):
        return False
    corners = np.array([0, other.width, 0], np.float64), np.array([0, 0, other.height], np.float64)
    found = _pixels_at(labels.space, *_places_of(image.space, *corners))
    return bool(np.abs(np.subtract(found, corners)).max() < _SAME_PX)


def _places_of(space: Space, columns: Coordinates, rows: Coordinates) -> tuple[Coordinates, Coordinates]:
    a, b, c, d, e, f = space.transform
    return a * columns + b * rows + c, d * columns + e * rows + f


def _pixels_at(space: Space, x: Coordinates, y: Coordinates) -> tuple[Coordinates, Coordinates]:
    """Columns and rows, the inverse of `_places_of`."""
    a, b, c, d, e, f = space.transform
    x, y, determinant = x - c, y - f, a * e - b * d
    return (e * x - b * y) / determinant, (a * y - d * x) / determinant


@lru_cache(maxsize=64)
def _same_crs(one: str, other: str) -> bool:
    return one == other or CRS.from_wkt(one) == CRS.from_wkt(other)


@lru_cache(maxsize=64)
def _say(name: str) -> None:
    logger.info(
        "masks of %s lie on another grid than their images: an image pixel takes the mask's value "
        "at its centre, and is ignored where the mask does not reach",
        name,
    )
