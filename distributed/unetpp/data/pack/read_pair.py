"""An image and its mask as packing sees them in both passes: volumes as asked for, masks as labels.

Arrays: H W C of a picture, Z H W C of a volume; its Z slices lie in the direction asked for, if one was.
"""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from unetpp.data.images.header import MAX_PIXELS, MAX_ROW_BYTES, Header, SampleError
from unetpp.data.images.mask_facts import MaskFacts, MaskPlane
from unetpp.data.images.pixels import Pixels, complete
from unetpp.data.pack.masks.annotated import DrawnMask
from unetpp.data.pack.masks.evidence import MaskEvidence, gather
from unetpp.data.pack.masks.instances import mark_borders, whole_ids
from unetpp.data.pack.masks.meaning import MaskMeaning
from unetpp.data.pack.masks.segments import segment_values
from unetpp.data.pack.options import PackOptions
from unetpp.data.sources.picture import LabelPicture
from unetpp.data.sources.places import apart_by_voxels
from unetpp.data.sources.raster import Box, Drawn, Raster, Space, Windowed, part_of
from unetpp.data.sources.slices import SLICINGS, slice_header, slices_of
from unetpp.data.sources.spacing import grid_at, resample_image, resample_labels, shape_of, space_at
from unetpp.data.sources.window import clip

__all__ = [
    "Valid",
    "both_valid",
    "by_windows",
    "read_evidence",
    "read_header",
    "read_ids",
    "read_labels",
    "read_pixels",
    "read_space",
]

Valid = NDArray[np.bool_] | None
"""False where a pixel (Z) H W holds no data, None where all do."""
_SAME_PLACE = 0.1
"""Voxels; what programs lose when they write an affine in single precision is a thousandth of one."""


def read_header(image: Raster, options: PackOptions) -> Header:
    """Shape of what packing sees of an image.

    Raises:
        SampleError: a volume, and options for pictures; or too large to be a sample.
    """
    header = image.header
    if options.tile_px is None and header.height * header.width > MAX_PIXELS:
        raise SampleError(
            f"{header.height}x{header.width} pixels exceed the limit of {MAX_PIXELS} of one sample; "
            "pack tiles with --tile 512"
        )
    grid = grid_at(header, image.space, options.spacing_mm, options.slices)
    header = replace(header, height=grid[-2], width=grid[-1])
    if header.planes is None:
        return header
    header = replace(header, planes=grid[0])
    if options.slices is None:
        if options.instances is not None:
            raise SampleError(
                "--instances is for pictures, this is a volume; pack its planes with "
                f"--slices {'|'.join(SLICINGS)}"
            )
        if options.size_px is not None:
            raise SampleError("--size is for pictures, this is a volume; leave it out, or use --slices")
        _require_row(header, options)
        return header
    return slice_header(header, options.slices)


def _require_row(header: Header, options: PackOptions) -> None:
    row_bytes = math.prod(shape_of(header)) * header.channels * np.dtype(header.dtype).itemsize
    if options.tile_px is None and row_bytes > MAX_ROW_BYTES:
        raise SampleError(
            f"a volume of {row_bytes} bytes exceeds the {MAX_ROW_BYTES} of a row; cut it with --tile, or use "
            "--slices"
        )


def by_windows(image: Raster, options: PackOptions) -> bool:
    """Whether boxes of an image can be packed without reading the whole."""
    # Objects are not cut: their borders depend on what lies around.
    is_plain = options.spacing_mm is None and options.instances is None
    return isinstance(image, Windowed) and image.header.planes is None and is_plain


def read_pixels(image: Raster, options: PackOptions, box: Box | None = None) -> Pixels:
    """The image, as slices where it is a volume, with neutral values where it holds no data.

    Args:
        image: that is packed.
        options: what becomes of it.
        box: a part, of an image that is read `by_windows`; it may hold no data at all.

    Raises:
        SampleError: it cannot be used, or no pixel holds data.
    """
    pixels = complete(image.read(box), options.file_reading)
    if box is not None:
        return Pixels(clip(pixels.values, options.window), pixels.valid)
    if pixels.valid is not None and not pixels.valid.any():
        raise SampleError("no pixel of the image holds data")
    grid = grid_at(image.header, image.space, options.spacing_mm, options.slices)
    valid = None if pixels.valid is None else resample_labels(pixels.valid, grid)
    values = resample_image(clip(pixels.values, options.window), grid)
    return _as_slices(Pixels(values, valid), options)


def read_space(image: Raster, options: PackOptions) -> Space:
    """Where the pixels of `read_pixels` lie, before they are cut into slices."""
    grid = grid_at(image.header, image.space, options.spacing_mm, options.slices)
    return space_at(image.space, shape_of(image.header), grid)


def _read_valid(image: Raster, options: PackOptions, box: Box | None) -> Valid:
    """Where the image, or a box of it, holds data; decodes only an image that may lack some."""
    header = image.header
    if header.may_lack_data or (options.file_reading.nan == "ignore" and header.dtype == "float32"):
        return read_pixels(image, options, box).valid
    return None


def read_evidence(
    mask: Raster, image: Raster, options: PackOptions, container: str, box: Box | None = None
) -> tuple[MaskEvidence, Valid]:
    """What a mask of the image's size and place holds, and where it and the image hold data.

    Args:
        mask: the mask.
        image: its image.
        options: of packing.
        container: name of the mask's format.
        box: a part, of an image that is read `by_windows`.

    Raises:
        SampleError: another size or place, or no mask.
    """
    stored = _read_plane(mask, image, options, "stored", box)
    counted = both_valid(_read_valid(image, options, box), stored.valid)
    if options.instances is not None:
        objects = _object_values(stored, read_ids(mask, image, options), mask, options)
        return gather(objects[..., None], MaskFacts(container), valid=counted), counted
    if not isinstance(mask, LabelPicture):
        facts = MaskFacts(container, bits=8 * stored.values.dtype.itemsize)
        return gather(stored.values, facts, valid=counted), counted
    alpha = _read_plane(mask, image, options, "alpha", box).values if mask.facts.has_alpha else None
    return gather(stored.values, mask.facts, alpha, valid=counted), counted


def read_labels(
    mask: Raster,
    image: Raster,
    options: PackOptions,
    meaning: MaskMeaning,
    box: Box | None = None,
    *,
    ids: NDArray[np.int32] | None = None,
) -> tuple[NDArray[np.uint8], Valid]:
    """One label per pixel, (Z) H W, of a mask that has the image's size and place, and where it holds data.

    Args:
        mask: the mask.
        image: its image.
        options: of packing.
        meaning: of the mask's pixels.
        box: a part, of an image that is read `by_windows`.
        ids: what `read_ids` gives, where masks are of objects.

    Raises:
        SampleError: another size or place, or no mask.
    """
    pixels = _read_plane(mask, image, options, meaning.plane, box)
    if ids is not None:
        return _object_values(pixels, ids, mask, options), pixels.valid
    values = pixels.values
    # (Z, H, W, C) -> (Z * H, W, C): planes of a volume follow the same rules as a picture.
    return meaning.values(values.reshape(-1, *values.shape[-2:])).reshape(values.shape[:-1]), pixels.valid


def _read_plane(
    mask: Raster, image: Raster, options: PackOptions, plane: MaskPlane, box: Box | None
) -> Pixels:
    sizes = shape_of(image.header)
    apart = apart_by_voxels(image, mask)
    if apart > _SAME_PLACE:
        raise SampleError(
            f"the mask lies {apart:.3g} voxels from its place in the image (their affines differ); "
            "resample it to the image's grid, by nearest"
        )
    if box is not None and not isinstance(mask, LabelPicture):
        _require_size((mask.header.height, mask.header.width), sizes)
        return mask.read(box)
    if isinstance(mask, Drawn):
        pixels = Pixels(segment_values(mask, image, options.classes))
    else:
        pixels = mask.plane(plane) if isinstance(mask, LabelPicture) else mask.read()
    _require_size(pixels.values.shape[:-1], sizes)
    if box is not None:
        return part_of(pixels, box)
    grid = grid_at(image.header, image.space, options.spacing_mm, options.slices)
    valid = None if pixels.valid is None else resample_labels(pixels.valid, grid)
    return _as_slices(Pixels(resample_labels(pixels.values, grid), valid), options)


def _object_values(
    stored: Pixels, ids: NDArray[np.int32], mask: Raster, options: PackOptions
) -> NDArray[np.uint8]:
    """Inside and border of objects as values, (Z) H W."""
    assert options.instances is not None
    assert options.classes is not None
    values = (stored.values[..., 0] if isinstance(mask, DrawnMask) else ids != 0).astype(np.uint8)
    mark_borders(values, ids, options.classes, options.instances.border_px)
    return values


def read_ids(mask: Raster, image: Raster, options: PackOptions) -> NDArray[np.int32]:
    """Whose pixel each is, (Z) H W, of a mask of objects that `read_labels` takes; 0 for no object.

    Raises:
        SampleError: they are no ids.
    """
    if isinstance(mask, DrawnMask):
        ids = mask.ids()
    else:
        stored = mask.read().values
        if stored.shape[-1] != 1:
            raise SampleError(f"a mask of object ids has one channel, this one {stored.shape[-1]}")
        ids = whole_ids(stored[..., 0])
    grid = grid_at(image.header, image.space, options.spacing_mm, options.slices)
    return _as_slices(Pixels(resample_labels(ids[..., None], grid)), options).values[..., 0]


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
