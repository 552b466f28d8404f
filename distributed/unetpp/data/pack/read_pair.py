"""An image and its mask as packing sees them in both passes: volumes as slices, masks as values.

Arrays: H W C of a picture, Z H W C of a volume, whose Z slices lie in the direction that was asked for.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetpp.data.images.header import Header, SampleError
from unetpp.data.pack.labels import to_values
from unetpp.data.pack.masks.annotated import DrawnMask
from unetpp.data.pack.masks.instances import check_ids, mark_borders
from unetpp.data.pack.options import PackOptions
from unetpp.data.sources.raster import Pixels, Raster
from unetpp.data.sources.slices import SLICINGS, slice_header, slices_of

__all__ = ["Labels", "read_header", "read_labels", "read_pixels"]


def read_header(image: Raster, options: PackOptions) -> Header:
    """Shape of the samples an image gives.

    Raises:
        SampleError: a volume, and no direction to slice it in.
    """
    header = image.header
    if header.planes is None:
        return header
    if options.slices is None:
        raise SampleError(
            f"the image is a volume of {header.planes} planes; "
            f"pack its slices with --slices {'|'.join(SLICINGS)}"
        )
    return slice_header(header, options.slices)


def read_pixels(image: Raster, options: PackOptions) -> Pixels:
    """The image, as slices where it is a volume."""
    pixels = image.read()
    if pixels.values.ndim == 3 or options.slices is None:
        return pixels
    valid = None if pixels.valid is None else slices_of(pixels.valid, options.slices)
    return Pixels(slices_of(pixels.values, options.slices), valid)


@dataclass(frozen=True)
class Labels:
    """One value per pixel, (Z) H W, and where masks are of objects, whose pixel it is; 0 is no object."""

    values: NDArray[np.uint8]
    ids: NDArray[np.int32] | None = None


def read_labels(mask: Raster, header: Header, options: PackOptions) -> Labels:
    """The values of a mask that has the image's size.

    Raises:
        SampleError: another size, or no mask.
    """
    stored: NDArray[Any] = mask.read().values
    if stored.ndim == 4 and options.slices is not None:
        stored = slices_of(stored, options.slices)
    labels = _objects(mask, stored, options)
    if labels is None:
        # (Z, H, W, C) -> (Z * H, W, C): planes of a volume follow the same rules as a picture.
        values = to_values(stored.reshape(-1, *stored.shape[-2:]), options.classes)
        labels = Labels(values.reshape(stored.shape[:-1]))
    values = labels.values
    expected: tuple[int, ...] = (header.height, header.width)
    if header.planes is not None:
        expected = (header.planes, *expected)
    if values.shape != expected:
        raise SampleError(_other_size(values.shape, expected))
    return labels


def _objects(mask: Raster, stored: NDArray[Any], options: PackOptions) -> Labels | None:
    if options.instances is None or options.classes is None:
        return None
    if isinstance(mask, DrawnMask):
        values, ids = stored[..., 0].copy(), mask.ids()
    else:
        if stored.shape[-1] != 1:
            raise SampleError(f"a mask of object ids has one channel, this one {stored.shape[-1]}")
        ids = stored[..., 0].astype(np.int32)
        check_ids(ids)
        values = (ids != 0).astype(np.uint8)
    mark_borders(values, ids, options.classes, options.instances.border_px)
    return Labels(values, ids)


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
