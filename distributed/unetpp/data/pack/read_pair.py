"""An image and its mask as packing sees them in both passes: volumes as asked for, masks as values.

Arrays: H W C of a picture, Z H W C of a volume; its Z slices lie in the direction asked for, if one was.
"""

import numpy as np
from numpy.typing import NDArray

from unetpp.data.images.header import Header, SampleError
from unetpp.data.images.pixels import Pixels, complete
from unetpp.data.pack.labels import to_values
from unetpp.data.pack.options import PackOptions
from unetpp.data.sources.raster import Raster
from unetpp.data.sources.slices import slice_header, slices_of

__all__ = ["Valid", "both_valid", "read_header", "read_pixels", "read_valid", "read_values"]

Valid = NDArray[np.bool_] | None
"""False where a pixel (Z) H W holds no data, None where all do."""


def read_header(image: Raster, options: PackOptions) -> Header:
    """Shape of what packing sees of an image.

    Raises:
        SampleError: a volume, and options for pictures.
    """
    header = image.header
    if header.planes is None:
        return header
    if options.slices is None:
        if options.size_px is not None:
            raise SampleError("--size is for pictures, this is a volume; leave it out, or use --slices")
        return header
    return slice_header(header, options.slices)


def read_pixels(image: Raster, options: PackOptions) -> Pixels:
    """The image, as slices where it is a volume, with neutral values where it holds no data.

    Raises:
        SampleError: it cannot be used, or no pixel holds data.
    """
    pixels = complete(_as_slices(image.read(), options), options.reading)
    if pixels.valid is not None and not pixels.valid.any():
        raise SampleError("no pixel of the image holds data")
    return pixels


def read_valid(image: Raster, options: PackOptions) -> Valid:
    """Where the image holds data; decodes only an image that may lack some."""
    header = image.header
    if header.may_lack_data or (options.reading.nan == "ignore" and header.dtype == "float32"):
        return read_pixels(image, options).valid
    return None


def read_values(mask: Raster, header: Header, options: PackOptions) -> tuple[NDArray[np.uint8], Valid]:
    """One value per pixel, (Z) H W, of a mask that has the image's size, and where the mask holds data.

    Raises:
        SampleError: another size, or no mask.
    """
    pixels = _as_slices(mask.read(), options)
    stored = pixels.values
    # (Z, H, W, C) -> (Z * H, W, C): planes of a volume follow the same rules as a picture.
    values = to_values(stored.reshape(-1, *stored.shape[-2:]), options.classes).reshape(stored.shape[:-1])
    expected: tuple[int, ...] = (header.height, header.width)
    if header.planes is not None:
        expected = (header.planes, *expected)
    if values.shape != expected:
        raise SampleError(_other_size(values.shape, expected))
    return values, pixels.valid


def both_valid(image: Valid, mask: Valid) -> Valid:
    """Pixels that count: those where image and mask hold data."""
    if image is None or mask is None:
        return mask if image is None else image
    return image & mask


def _as_slices(pixels: Pixels, options: PackOptions) -> Pixels:
    if pixels.values.ndim == 3 or options.slices is None:
        return pixels
    valid = None if pixels.valid is None else slices_of(pixels.valid, options.slices)
    return Pixels(slices_of(pixels.values, options.slices), valid)


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
