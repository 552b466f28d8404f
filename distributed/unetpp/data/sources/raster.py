"""What every format gives once it is open: a shape, a place in the world, and pixels.

Arrays are H W C for a picture and Z H W C for a volume: Z planes, H height, W width, C channels.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from unetpp.data.images.header import Header
from unetpp.data.images.pixels import Pixels

__all__ = ["Box", "Drawn", "FromSeries", "Pixels", "Raster", "Space", "Windowed", "part_of"]


_MM = {"mm": 1.0, "um": 1e-3, "nm": 1e-6, "cm": 10.0, "m": 1000.0}


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of pixels in its source image; a block of a volume has `planes` of them from `front` on."""

    top: int
    left: int
    height: int
    width: int
    front: int = 0
    planes: int | None = None

    @property
    def slices(self) -> tuple[slice, ...]:
        """Indices of its pixels in an array without or with channels."""
        rows = slice(self.top, self.top + self.height)
        columns = slice(self.left, self.left + self.width)
        if self.planes is None:
            return rows, columns
        return slice(self.front, self.front + self.planes), rows, columns


@dataclass(frozen=True)
class Space:
    """Where pixels lie in the world; an empty field says that the file does not tell."""

    spacing: tuple[float, ...] = ()
    """Distance of neighbours along (Z,) H, W in `unit`."""
    unit: str = ""
    """"mm" (NIfTI, DICOM), "um" (microscopy), or that of the coordinate reference system."""
    affine: tuple[tuple[float, ...], ...] = ()
    """4 x 4 from (z, y, x, 1) to millimetres right, anterior, superior."""
    crs: str = ""
    """Coordinate reference system as WKT."""
    transform: tuple[float, ...] = ()
    """(a, b, c, d, e, f): x = a * column + b * row + c, y = d * column + e * row + f in the CRS, of a pixel's
    upper left corner."""

    def of_part(self, top: int, left: int) -> "Space":
        """The space of pixels from this row and column on; `affine` stays that of the whole."""
        if not self.transform:
            return self
        a, b, c, d, e, f = self.transform
        return replace(self, transform=(a, b, c + a * left + b * top, d, e, f + d * left + e * top))

    def scaled(self, rows: float, columns: float) -> "Space":
        """The space of larger pixels, so many times as high and as wide; only `transform` becomes another."""
        if not self.transform:
            return self
        a, b, c, d, e, f = self.transform
        return replace(self, transform=(a * columns, b * rows, c, d * columns, e * rows, f))

    @property
    def spacing_mm(self) -> tuple[float, ...]:
        """The spacing in millimetres; empty where it or its unit is not a length."""
        factor = _MM.get(self.unit)
        return () if factor is None else tuple(factor * step for step in self.spacing)

    def to_json(self) -> str:
        """What is known, for a shard's column `space`."""
        return json.dumps({name: value for name, value in asdict(self).items() if value})

    @classmethod
    def from_json(cls, text: str) -> "Space":
        """The inverse of `to_json`; fields of later releases are passed over."""
        found: dict[str, Any] = json.loads(text)
        return cls(
            spacing=tuple(found.get("spacing", ())),
            unit=found.get("unit", ""),
            affine=tuple(map(tuple, found.get("affine", ()))),
            crs=found.get("crs", ""),
            transform=tuple(found.get("transform", ())),
        )


def part_of(pixels: Pixels, box: Box | None) -> Pixels:
    """The pixels of a box, in every plane unless it names some; all of them without one."""
    if box is None:
        return pixels
    part: tuple[Any, ...] = (..., *box.slices)
    values = pixels.values[(*part, slice(None))]
    return Pixels(values, None if pixels.valid is None else pixels.valid[part])


@runtime_checkable
class FromSeries(Protocol):
    """What a raster has besides if it is a DICOM series."""

    @property
    def series(self) -> str:
        """SeriesInstanceUID."""
        ...

    @property
    def instances(self) -> frozenset[str]:
        """SOPInstanceUID of each file."""
        ...


@runtime_checkable
class Drawn(Protocol):
    """What a mask has besides if it has pixels only on the grid of an image, such as a DICOM SEG."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of its classes, sorted."""
        ...

    def drawn_on(self, image: "Raster", names: Sequence[str]) -> NDArray[np.uint8]:
        """0 or 1 for each name on the image's grid, H W C or Z H W C; other classes are left out.

        Raises:
            SampleError: it is of another image, or does not lie on the grid.
        """
        ...


@runtime_checkable
class Windowed(Protocol):
    """What a raster has besides if its `read` decodes no more than the box, so that it may exceed memory."""

    @property
    def block_px(self) -> tuple[int, int]:
        """Height and width of the blocks that are decoded at once."""
        ...


class Raster(Protocol):
    """An opened file. `read` may be called any number of times until the file is closed."""

    @property
    def header(self) -> Header:
        """Shape and dtype of what `read` gives, known without decoding."""
        ...

    @property
    def space(self) -> Space:
        """Where the pixels lie."""
        ...

    @property
    def digest(self) -> bytes:
        """sha256 of the encoded content."""
        ...

    def read(self, box: Box | None = None) -> Pixels:
        """All pixels, or those of a box in every plane.

        Raises:
            SampleError: damaged, or a kind of file that has no plain pixels.
        """
        ...
