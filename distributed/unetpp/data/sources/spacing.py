"""Images brought to one distance of pixels, and their masks with them.

Images are interpolated linearly, and averaged where they shrink: nothing overshoots the values there are, and
Hounsfield units stay within theirs. Labels take the nearest pixel, so that none is invented. Both cover the
extent of the source to half a pixel: centres lie at (index + 0.5) * old / new - 0.5.

Arrays: H W C or Z H W C.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetpp.data.images.header import Header, SampleError
from unetpp.data.sources.raster import Space
from unetpp.data.sources.slices import across

__all__ = ["grid_at", "resample_image", "resample_labels", "shape_of", "space_at"]


def shape_of(header: Header) -> tuple[int, ...]:
    """Sizes (Z,) H, W."""
    sizes = (header.height, header.width)
    return sizes if header.planes is None else (header.planes, *sizes)


def grid_at(
    header: Header, space: Space, spacing_mm: Sequence[float] | None, slicing: str | None
) -> tuple[int, ...]:
    """Sizes (Z,) H, W of an image whose pixels are so far apart; its own without a spacing.

    Args:
        header: of the image.
        space: of the image.
        spacing_mm: of Z, H, W, or of the two axes of a slice, whose distance stays.
        slicing: direction of the slices.

    Raises:
        SampleError: the image does not tell its spacing.
    """
    sizes = shape_of(header)
    if spacing_mm is None:
        return sizes
    found_mm = space.spacing_mm
    if len(found_mm) != len(sizes):
        raise SampleError(
            "the file tells no spacing in millimetres, which --spacing needs; leave it or the option out"
        )
    wanted = _by_axis(spacing_mm, slicing, len(sizes))
    return tuple(
        size if target is None else max(1, round(size * found / target))
        for size, found, target in zip(sizes, found_mm, wanted, strict=True)
    )


def space_at(space: Space, sizes: Sequence[int], grid: Sequence[int]) -> Space:
    """The space of an image that was brought from `sizes` to `grid`."""
    if tuple(sizes) == tuple(grid):
        return space
    scale = np.array(sizes) / np.array(grid)
    spacing = tuple(float(length * factor) for length, factor in zip(space.spacing, scale, strict=True))
    if not space.affine:
        return replace(space, spacing=spacing)
    indices = np.diag([*scale, 1.0])
    indices[:3, 3] = (scale - 1) / 2
    affine = np.array(space.affine) @ indices
    return replace(space, spacing=spacing, affine=tuple(tuple(map(float, row)) for row in affine))


def resample_image(values: NDArray[Any], grid: Sequence[int]) -> NDArray[Any]:
    """Values on another grid of the same extent, in their own dtype."""
    if values.shape[:-1] == tuple(grid):
        return values
    found = values
    for axis, size in enumerate(grid):
        if found.shape[axis] != size:
            weights = _linear_weights(found.shape[axis], size)
            found = np.moveaxis(np.tensordot(weights, found.astype(np.float32), axes=(1, axis)), 0, axis)
    if values.dtype.kind == "u":
        found = np.rint(found)
    return np.ascontiguousarray(found, dtype=values.dtype)


def resample_labels(labels: NDArray[Any], grid: Sequence[int]) -> NDArray[Any]:
    """Labels on another grid of the same extent, by nearest; the first axes are those of the grid."""
    found = labels
    for axis, size in enumerate(grid):
        old = found.shape[axis]
        if old != size:
            found = found.take(((np.arange(size) + 0.5) * old / size).astype(np.intp), axis=axis)
    return found


def _by_axis(spacing_mm: Sequence[float], slicing: str | None, axes: int) -> list[float | None]:
    wanted: list[float | None] = list(spacing_mm)
    if axes == 2:
        return wanted[-2:]
    if len(wanted) == 2:
        wanted.insert(across(slicing), None)
    return wanted


def _linear_weights(old: int, new: int) -> NDArray[np.float32]:
    """(new, old): the triangle of linear interpolation, as wide as a new pixel where it is the larger one."""
    scale = old / new
    centres = (np.arange(new) + 0.5) * scale
    distance = np.abs(np.arange(old) + 0.5 - centres[:, None]) / max(scale, 1.0)
    weights = np.maximum(1 - distance, 0)
    # Beyond the first and last centre the nearest pixel stands alone.
    weights[weights.sum(axis=1) == 0, 0] = 1
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)
