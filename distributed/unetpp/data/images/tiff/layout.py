"""Which of a TIFF's pages are the image, and what their axes are."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from unetpp.data.images.header import SampleError
from unetpp.data.images.pixels import Reading

__all__ = ["Layout", "find_layout"]

_REDUCED, _MASK = 1, 4
"""Bits of the tag NewSubfileType."""
_CHANNELS, _PLANES, _PAGES = "SC", "Z", "IQ"
"""Axes as tifffile names them; of pages in a row without a meaning it says I or Q."""


@dataclass(frozen=True)
class Layout:
    """The main image of a file."""

    series: Any
    axes: str
    """With Z for planes, Y, X, and C for channels, in the file's order."""
    mask_page: Any | None
    """A page that says which pixels hold data."""
    notes: tuple[str, ...]

    @property
    def page(self) -> Any:
        """The page whose tags hold for all of the image."""
        return self.series.keyframe

    @property
    def sizes(self) -> dict[str, int]:
        """Length of each axis."""
        return dict(zip(self.axes, self.series.shape, strict=True))

    def ordered(self, array: NDArray[Any]) -> NDArray[Any]:
        """(Z) Y X C, a view."""
        order = [self.axes.index(axis) for axis in "ZYXC" if axis in self.axes]
        turned = array.transpose(order)
        return turned if "C" in self.axes else turned[..., None]


def find_layout(tiff: tifffile.TiffFile, reading: Reading) -> Layout:
    """The largest image; smaller copies are passed over.

    Raises:
        SampleError: several images of one size, or axes that make no picture and no volume.
    """
    series = [entry for entry in tiff.series if not _kind(entry) & _MASK]
    masks = [entry.keyframe for entry in tiff.series if _kind(entry) & _MASK]
    full = [entry for entry in series if not _kind(entry) & _REDUCED] or series
    if not full:
        raise SampleError("the TIFF holds no image, only a mask of one")
    main = max(full, key=_pixels)
    if sum(_pixels(entry) == _pixels(main) for entry in full) > 1:
        shapes = ", ".join(str(entry.shape) for entry in full[:3])
        raise SampleError(f"the TIFF holds {len(full)} images of one size, {shapes}; save one per file")
    notes = []
    smaller = sum(len(entry.levels) for entry in series) - 1
    if smaller:
        notes.append("the file holds smaller images, as pyramids or thumbnails are, and the largest is read")
    size = main.keyframe.imagelength, main.keyframe.imagewidth
    mask = next((page for page in masks if (page.imagelength, page.imagewidth) == size), None)
    if mask is not None:
        notes.append("the file holds a mask of its valid pixels, and the others are ignored")
    axes = _axes(main, reading)
    if "Z" in axes and "Z" not in main.axes:
        notes.append("its pages are planes of a volume; --pages channels takes them for channels")
    return Layout(main, axes, mask, tuple(notes))


def _kind(series: Any) -> int:
    return int(series.keyframe.subfiletype)


def _pixels(series: Any) -> int:
    return int(series.keyframe.imagelength) * int(series.keyframe.imagewidth)


def _axes(series: Any, reading: Reading) -> str:
    pages = "C" if reading.pages == "channels" else "Z"
    meaning = {"Y": "Y", "X": "X"}
    meaning |= dict.fromkeys(_CHANNELS, "C") | dict.fromkeys(_PLANES, "Z") | dict.fromkeys(_PAGES, pages)
    axes = "".join(meaning.get(axis, "?") for axis in series.axes)
    if "?" in axes or len(set(axes)) < len(axes) or not {"Y", "X"} <= set(axes):
        raise SampleError(
            f"TIFF axes {series.axes} {series.shape} are no single 2D image and no volume; "
            "save one image per file"
        )
    # tifffile has no pages for some series that have none of their own.
    if not np.prod(series.shape):
        raise SampleError("the image is empty")
    return axes
