"""Pictures and volumes alike; a volume is predicted slice by slice where its training data was packed so."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetpp.core.errors import InputError
from unetpp.core.manifest import Manifest
from unetpp.data.sources.slices import slices_of, volume_of
from unetpp.inference.predictor import Predictor, check_image

__all__ = ["check_any", "segment"]


def check_any(pixels: NDArray[Any], manifest: Manifest) -> NDArray[Any]:
    """A picture H W C as the model takes it; a volume Z H W C as it is.

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
    return pixels


def segment(predictor: Predictor, pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """The mask H W of a picture, or Z H W of a volume, in the image's own axes."""
    slicing = predictor.run.manifest.slices
    if pixels.ndim < 4 or slicing is None:
        return predictor.mask(pixels)
    masks = [predictor.mask(plane) for plane in slices_of(pixels, slicing)]
    return np.ascontiguousarray(volume_of(np.stack(masks), slicing))
