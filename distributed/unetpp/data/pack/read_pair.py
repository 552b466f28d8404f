"""An image and its mask as packing sees them in both passes: volumes as asked for, masks as values.

Arrays: H W C of a picture, Z H W C of a volume; its Z slices lie in the direction asked for, if one was.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetpp.data.images.header import MAX_PIXELS, Header, SampleError
from unetpp.data.pack.classes import ClassSpec
from unetpp.data.pack.labels import to_values
from unetpp.data.pack.masks.annotated import DrawnMask
from unetpp.data.pack.masks.instances import mark_borders, whole_ids
from unetpp.data.pack.options import PackOptions
from unetpp.data.sources.places import apart_by_voxels
from unetpp.data.sources.raster import Box, Pixels, Raster
from unetpp.data.sources.slices import SLICINGS, slice_header, slices_of

__all__ = ["MaskValues", "read_header", "read_pixels", "read_values"]


@dataclass(frozen=True)
class MaskValues:
    """One value per pixel, (Z) H W; `valid` is False where the mask tells nothing, None if it tells all.

    `ids` tell whose pixel it is where masks are of objects, 0 for no object.
    """

    values: NDArray[np.uint8]
    valid: NDArray[np.bool_] | None = None
    ids: NDArray[np.int32] | None = None


_SAME_PLACE = 0.1
"""Voxels; what programs lose when they write an affine in single precision is a thousandth of one."""


def read_header(image: Raster, options: PackOptions) -> Header:
    """Shape of what packing sees of an image.

    Raises:
        SampleError: a volume, and options for pictures, or too large to be a sample.
    """
    header = image.header
    if options.tile_px is None and header.height * header.width > MAX_PIXELS:
        raise SampleError(
            f"{header.height}x{header.width} pixels exceed the limit of {MAX_PIXELS} of one sample; "
            "pack tiles with --tile 512"
        )
    if header.planes is None:
        return header
    if options.slices is None:
        if options.instances is not None:
            raise SampleError(
                "--instances is for pictures, this is a volume; pack its planes with "
                f"--slices {'|'.join(SLICINGS)}"
            )
        if options.size_px is not None:
            raise SampleError("--size is for pictures, this is a volume; leave it out, or use --slices")
        return header
    return slice_header(header, options.slices)


def read_pixels(image: Raster, options: PackOptions, box: Box | None = None) -> Pixels:
    """The image or a box of it, as slices where it is a volume."""
    pixels = image.read(box)
    if pixels.values.ndim == 3 or options.slices is None:
        return pixels
    valid = None if pixels.valid is None else slices_of(pixels.valid, options.slices)
    return Pixels(slices_of(pixels.values, options.slices), valid)


def read_values(mask: Raster, image: Raster, options: PackOptions, box: Box | None = None) -> MaskValues:
    """The values, or those of a box, of a mask that has the image's size and place.

    Raises:
        SampleError: another size or place, or no mask.
    """
    header = read_header(image, options)
    apart = apart_by_voxels(image, mask)
    if apart > _SAME_PLACE:
        raise SampleError(
            f"the mask lies {apart:.3g} voxels from its place in the image (their affines differ); "
            "resample it to the image's grid, by nearest"
        )
    if box is not None:
        _require_size((mask.header.height, mask.header.width), (header.height, header.width))
    pixels = mask.read(box)
    stored: NDArray[Any] = pixels.values
    if stored.ndim == 4 and options.slices is not None:
        stored = slices_of(stored, options.slices)
    ids: NDArray[np.int32] | None = None
    if options.instances is not None and options.classes is not None:
        values, ids = _objects(mask, stored, options.classes, options.instances.border_px)
    else:
        # (Z, H, W, C) -> (Z * H, W, C): planes of a volume follow the same rules as a picture.
        values = to_values(stored.reshape(-1, *stored.shape[-2:]), options.classes)
        values = values.reshape(stored.shape[:-1])
    if box is None:
        planes = () if header.planes is None else (header.planes,)
        _require_size(values.shape, (*planes, header.height, header.width))
    return MaskValues(values, pixels.valid, ids)


def _objects(
    mask: Raster, stored: NDArray[Any], spec: ClassSpec, border_px: int
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Values with the border's class, and ids, of a whole mask of objects."""
    if isinstance(mask, DrawnMask):
        values, ids = stored[..., 0].copy(), mask.ids()
    else:
        if stored.shape[-1] != 1:
            raise SampleError(f"a mask of object ids has one channel, this one {stored.shape[-1]}")
        ids = whole_ids(stored[..., 0])
        values = (ids != 0).astype(np.uint8)
    mark_borders(values, ids, spec, border_px)
    return values, ids


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
