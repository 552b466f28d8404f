"""Resize images and masks when a dataset is packed."""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["resize_image", "resize_mask", "resize_valid"]

Label = TypeVar("Label", np.uint8, np.int32)

_ROUNDING = 1e-4


def resize_image(image: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Bilinear where the image grows, area-weighted where it shrinks; H W C in, height width C out."""
    if image.shape[:2] == (height, width):
        return image
    planes = [_resize_plane(image[:, :, c], height, width) for c in range(image.shape[2])]
    return np.stack(planes, axis=2)


def resize_mask(mask: NDArray[Label], height: int, width: int) -> NDArray[Label]:
    """Nearest neighbour: no label, and no id (int32), is ever invented."""
    if mask.shape == (height, width):
        return mask
    resized = Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST)
    return np.asarray(resized, dtype=mask.dtype)


def resize_valid(valid: NDArray[np.bool_], height: int, width: int) -> NDArray[np.bool_]:
    """False where a pixel without data has a share in the resized image, H W."""
    return resize_image(valid[:, :, None].astype(np.float32), height, width)[:, :, 0] > 1 - _ROUNDING


def _resize_plane(plane: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    # Pillow widens the bilinear kernel by the scale factor when it shrinks, which weighs by area.
    if plane.dtype == np.uint8:
        source = Image.fromarray(np.ascontiguousarray(plane))
        return np.asarray(source.resize((width, height), Image.Resampling.BILINEAR))
    source = Image.fromarray(np.ascontiguousarray(plane, dtype=np.float32))
    resized = np.asarray(source.resize((width, height), Image.Resampling.BILINEAR))
    return np.rint(resized).astype(np.uint16) if plane.dtype == np.uint16 else resized
