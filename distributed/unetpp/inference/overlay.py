"""Panels that show an image, its truth, a prediction and the errors side by side.

Shapes: H height, W width, C channels.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unetpp.core.manifest import Manifest
from unetpp.data.preview import overlay, plane_shown, stretched
from unetpp.inference.colours import error_map, png

__all__ = ["overlay_png", "panel_png"]

_PANEL_PX = 320
"""Longest side of one picture in a panel; keeps a report with a dozen panels below a few MB."""
_GAP_PX = 6


def panel_png(
    image: NDArray[np.generic], truth: NDArray[np.uint8], mask: NDArray[np.uint8], manifest: Manifest
) -> bytes:
    """Image, truth, prediction and error map in one PNG row; image (H, W, C), masks (H, W), or a volume."""
    image, truth, mask = plane_shown(image, truth, mask)
    picture = stretched(image, manifest)
    parts = [
        picture,
        overlay(picture, truth, manifest),
        overlay(picture, mask, manifest),
        error_map(truth, mask, manifest),
    ]
    shown = [_fit(part, nearest=index == 3) for index, part in enumerate(parts)]
    gap = np.full((shown[0].shape[0], _GAP_PX, 3), 255, dtype=np.uint8)
    row = [piece for part in shown for piece in (part, gap)][:-1]
    return png(np.concatenate(row, axis=1))


def overlay_png(image: NDArray[np.generic], mask: NDArray[np.uint8], manifest: Manifest) -> bytes:
    """The image with the mask's colours over it, at the image's size."""
    image, mask = plane_shown(image, mask)
    return png(overlay(stretched(image, manifest), mask, manifest))


def _fit(picture: NDArray[np.uint8], *, nearest: bool) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    scale = _PANEL_PX / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    method = Image.Resampling.NEAREST if nearest or scale > 1 else Image.Resampling.BOX
    return np.asarray(Image.fromarray(picture).resize(size, method))
