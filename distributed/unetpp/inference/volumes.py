"""Pictures and volumes alike; a volume is predicted slice by slice where its training data was packed so.

Images are brought to the spacing and the window of the training data; probabilities are brought back to the
image's own grid, where they decide on the mask.

Shapes: Z planes, H height, W width, C image channels, K classes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from unetpp.core.errors import InputError
from unetpp.core.manifest import Manifest, Task
from unetpp.data.images.header import Header
from unetpp.data.sources.raster import Space
from unetpp.data.sources.slices import slices_of, volume_of
from unetpp.data.sources.spacing import grid_at, resample_image
from unetpp.data.sources.window import clip
from unetpp.inference.prediction import Prediction
from unetpp.inference.predictor import Predictor, check_image

__all__ = ["STEPS", "Result", "check_any", "fullest_slice", "prepared", "segment", "segment_pictures"]

STEPS = 255
"""Probabilities are held and written as whole numbers of 1 / STEPS."""


@dataclass(frozen=True)
class Result:
    """On the image's own grid: the mask (Z) H W, and probabilities uint8 (Z) H W K in steps of 1 / 255."""

    mask: NDArray[np.uint8]
    probabilities: NDArray[np.uint8] | None
    levels: tuple[Tensor, ...] = ()
    """Of a picture where they were asked for, see `Predictor.predict_levels`."""


def prepared(pixels: NDArray[Any], header: Header, space: Space, manifest: Manifest) -> NDArray[Any]:
    """A picture H W C or a volume Z H W C with the spacing and window of the training data.

    Raises:
        InputError: the image does not tell its spacing, which the training data was resampled by.
    """
    grid = grid_at(header, space, manifest.spacing_mm, manifest.slices)
    return resample_image(clip(pixels, manifest.window), grid)


def check_any(pixels: NDArray[Any], manifest: Manifest) -> NDArray[Any]:
    """A picture H W C, or each plane of a volume Z H W C, as the model takes it.

    Raises:
        InputError: the model was not trained on such an image.
    """
    if pixels.ndim < 4 or manifest.spatial_dims == 3:
        return check_image(pixels, manifest)
    if manifest.slices is None:
        raise InputError(
            f"the image is a volume of {pixels.shape[0]} planes, the model was trained on pictures; "
            "save one plane per file"
        )
    if pixels.shape[-1] != manifest.channels:
        raise InputError(_other_channels(pixels.shape[-1], manifest))
    check_image(slices_of(pixels, manifest.slices)[0], manifest)
    return pixels


def segment(
    predictor: Predictor,
    pixels: NDArray[Any],
    grid: tuple[int, ...],
    *,
    probabilities: bool,
    levels: bool = False,
) -> Result:
    """Predict an image as `prepared` and `check_any` leave it.

    Args:
        predictor: of the run.
        pixels: H W C or Z H W C.
        grid: sizes (Z,) H, W of the image's own grid.
        probabilities: whether they are asked for.
        levels: likewise, of a picture.
    """
    if levels:
        ((found, of_levels),) = predictor.predict_levels([pixels])
        at_grid = _at_grid(_mask_and_probabilities(found), predictor, grid, probabilities=probabilities)
        return replace(at_grid, levels=of_levels)
    if not probabilities and pixels.shape[:-1] == grid:
        return Result(_by_slices(predictor, pixels, predictor.mask), None)
    both = _by_slices(predictor, pixels, lambda plane: _mask_and_probabilities(predictor.predict(plane)))
    return _at_grid(both, predictor, grid, probabilities=probabilities)


def _at_grid(
    both: NDArray[np.uint8], predictor: Predictor, grid: tuple[int, ...], *, probabilities: bool
) -> Result:
    """Of mask and probabilities (Z) H W 1+K."""
    mask, quantised = both[..., 0], both[..., 1:]
    if mask.shape != grid:
        quantised = resample_image(quantised, grid)
        mask = _decided(quantised, predictor)
    return Result(mask, quantised if probabilities else None)


def segment_pictures(
    predictor: Predictor, pictures: Sequence[NDArray[Any]], *, probabilities: bool, levels: bool = False
) -> list[Result]:
    """What `segment` gives of pictures H W C that are predicted at their own size; of one shape together."""
    if levels:
        both = predictor.predict_levels(pictures)
        return [Result(found.mask, _packed(found) if probabilities else None, each) for found, each in both]
    if not probabilities:
        return [Result(mask, None) for mask in predictor.masks(pictures)]
    return [Result(found.mask, _packed(found)) for found in predictor.predict_many(pictures)]


def fullest_slice(
    pixels: NDArray[Any], mask: NDArray[np.uint8], slicing: str | None
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """The slice of a volume with most foreground, image and mask, to look at; a picture as it is."""
    if slicing is None or pixels.ndim < 4:
        return pixels, mask
    masks = slices_of(mask, slicing)
    index = int(np.count_nonzero(masks, axis=(1, 2)).argmax())
    return slices_of(pixels, slicing)[index], masks[index]


def _by_slices(
    predictor: Predictor, pixels: NDArray[Any], compute: Callable[[NDArray[Any]], NDArray[np.uint8]]
) -> NDArray[np.uint8]:
    slicing = predictor.manifest.slices
    if pixels.ndim < 4 or slicing is None:
        return compute(pixels)
    found = np.stack([compute(plane) for plane in slices_of(pixels, slicing)])
    return np.ascontiguousarray(volume_of(found, slicing))


def _mask_and_probabilities(found: Prediction) -> NDArray[np.uint8]:
    """H W 1+K."""
    return np.stack([found.mask, *_quantised(found)], axis=-1)


def _packed(found: Prediction) -> NDArray[np.uint8]:
    """H W K."""
    return np.ascontiguousarray(np.moveaxis(_quantised(found), 0, -1))


def _quantised(found: Prediction) -> NDArray[np.uint8]:
    """K H W."""
    return np.rint(found.probabilities * STEPS).astype(np.uint8)


def _decided(quantised: NDArray[np.uint8], predictor: Predictor) -> NDArray[np.uint8]:
    """The mask of quantised probabilities (Z) H W K; of slices each has objects of its own."""
    slicing = predictor.manifest.slices
    if predictor.decision.is_plain:
        return _plainly_decided(quantised, predictor.manifest.task)
    if quantised.ndim < 4 or slicing is None:
        return _decided_picture(quantised, predictor)
    found = [_decided_picture(picture, predictor) for picture in slices_of(quantised, slicing)]
    return np.ascontiguousarray(volume_of(np.stack(found), slicing))


def _decided_picture(quantised: NDArray[np.uint8], predictor: Predictor) -> NDArray[np.uint8]:
    return predictor.decide(np.divide(np.moveaxis(quantised, -1, 0), STEPS, dtype=np.float32))


def _plainly_decided(quantised: NDArray[np.uint8], task: Task) -> NDArray[np.uint8]:
    if task == "multiclass":
        return np.asarray(quantised.argmax(axis=-1), dtype=np.uint8)
    bits = np.array([1 << k for k in range(quantised.shape[-1])], dtype=np.uint8)
    return np.asarray(((quantised > STEPS // 2) * bits).sum(axis=-1), dtype=np.uint8)


def _other_channels(found: int, manifest: Manifest) -> str:
    said = f"the image has {found} channels, the model takes {manifest.channels}"
    if manifest.channel_files > 1:
        said += f" from {manifest.channel_files} files, CASE_0000, CASE_0001 ...; give them all"
    return said
