"""Where each class of a predicted mask is."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from unetpp.core.manifest import Manifest

__all__ = ["class_regions", "is_background"]

_BACKGROUND = ("background", "_background_")
_NO_DATA_BIT = 7
"""Set in the mask's value where the image holds no data; labels are the bits below."""


def is_background(manifest: Manifest, index: int) -> bool:
    """Whether a class is what is left where no other is: the first of classes that exclude each other."""
    return manifest.task == "multiclass" and index == 0 and manifest.classes[0].name in _BACKGROUND


def class_regions(mask: NDArray[np.uint8], manifest: Manifest) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Name and pixels (H, W) of each class of a mask (H, W); a background is none, nor is what lacks data."""
    for index, entry in enumerate(manifest.classes):
        if manifest.task == "multilabel":
            yield entry.name, ((mask >> index & 1) == 1) & (mask >> _NO_DATA_BIT == 0)
        elif manifest.task == "binary":
            yield entry.name, mask == 1
        elif not is_background(manifest, index):
            yield entry.name, mask == index
