"""An image and its mask as packing sees them in both passes: volumes as slices, masks as values.

Arrays: H W C of a picture, Z H W C of a volume, whose Z slices lie in the direction that was asked for.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetpp.data.images.header import Header, SampleError
from unetpp.data.pack.labels import to_values
from unetpp.data.pack.masks.segments import segment_values
from unetpp.data.pack.options import PackOptions
from unetpp.data.sources.places import apart_by_voxels
from unetpp.data.sources.raster import Drawn, Pixels, Raster, Space
from unetpp.data.sources.slices import SLICINGS, slice_header, slices_of
from unetpp.data.sources.spacing import grid_at, resample_image, resample_labels, shape_of, space_at
from unetpp.data.sources.window import clip

__all__ = ["read_header", "read_pixels", "read_space", "read_values"]

_SAME_PLACE = 0.1
"""Voxels; what programs lose when they write an affine in single precision is a thousandth of one."""


def read_header(image: Raster, options: PackOptions) -> Header:
    """Shape of the samples an image gives.

    Raises:
        SampleError: a volume, and no direction to slice it in.
    """
    header = image.header
    grid = grid_at(header, image.space, options.spacing_mm, options.slices)
    header = replace(header, height=grid[-2], width=grid[-1])
    if header.planes is None:
        return header
    header = replace(header, planes=grid[0])
    if options.slices is None:
        raise SampleError(
            f"the image is a volume of {header.planes} planes; "
            f"pack its slices with --slices {'|'.join(SLICINGS)}"
        )
    return slice_header(header, options.slices)


def read_pixels(image: Raster, options: PackOptions) -> Pixels:
    """The image, as slices where it is a volume."""
    pixels = _prepared(image, image.read(), options)
    if pixels.values.ndim == 3 or options.slices is None:
        return pixels
    valid = None if pixels.valid is None else slices_of(pixels.valid, options.slices)
    return Pixels(slices_of(pixels.values, options.slices), valid)


def read_space(image: Raster, options: PackOptions) -> Space:
    """Where the pixels of `read_pixels` lie, before they are cut into slices."""
    grid = grid_at(image.header, image.space, options.spacing_mm, options.slices)
    return space_at(image.space, shape_of(image.header), grid)


def _prepared(image: Raster, pixels: Pixels, options: PackOptions) -> Pixels:
    grid = grid_at(image.header, image.space, options.spacing_mm, options.slices)
    valid = None if pixels.valid is None else resample_labels(pixels.valid, grid)
    return Pixels(resample_image(clip(pixels.values, options.window), grid), valid)


def read_values(mask: Raster, image: Raster, options: PackOptions) -> NDArray[np.uint8]:
    """One value per pixel, (Z) H W, of a mask that has the image's size and place.

    Raises:
        SampleError: another size or place, or no mask.
    """
    sizes = shape_of(image.header)
    apart = apart_by_voxels(image, mask)
    if apart > _SAME_PLACE:
        raise SampleError(
            f"the mask lies {apart:.3g} voxels from its place in the image (their affines differ); "
            "resample it to the image's grid, by nearest"
        )
    stored: NDArray[Any] = (
        segment_values(mask, image, options.classes) if isinstance(mask, Drawn) else mask.read().values
    )
    _require_size(stored.shape[:-1], sizes)
    stored = resample_labels(stored, grid_at(image.header, image.space, options.spacing_mm, options.slices))
    if stored.ndim == 4 and options.slices is not None:
        stored = slices_of(stored, options.slices)
    # (Z, H, W, C) -> (Z * H, W, C): planes of a volume follow the same rules as a picture.
    return to_values(stored.reshape(-1, *stored.shape[-2:]), options.classes).reshape(stored.shape[:-1])


def _require_size(mask: tuple[int, ...], image: tuple[int, ...]) -> None:
    if mask != image:
        raise SampleError(_other_size(mask, image))


def _other_size(mask: tuple[int, ...], image: tuple[int, ...]) -> str:
    said = f"mask is {_size(mask)}, image {_size(image)} pixels"
    if mask != image[::-1]:
        return f"{said}; make them the same size"
    return (
        f"{said}: one is turned against the other, and an EXIF orientation is applied as viewers do; "
        "turn the mask to what is shown of the image, or remove the orientation from the image"
    )


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
