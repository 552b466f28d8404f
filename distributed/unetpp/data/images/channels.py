"""Images whose number of channels is not the dataset's, made alike without loss.

Shapes: H height, W width, C channels; volumes have Z planes in front.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["match_channels"]


def match_channels(image: NDArray[Any], channels: int) -> NDArray[Any]:
    """Grey (H, W, 1) as RGB, and RGB whose channels are equal as grey; any other image as it is."""
    if channels == 3 and image.shape[-1] == 1:
        return np.repeat(image, 3, axis=-1)
    if channels == 1 and image.shape[-1] == 3 and (image == image[..., :1]).all():
        return image[..., :1]
    return image
