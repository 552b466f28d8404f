"""At which size images enter the network: as they are, resized as in training, or in windows."""

import re

from unetpp.config.run import RunConfig
from unetpp.core.manifest import Manifest

__all__ = ["trained_size_px", "window_px"]

_MIN_WINDOW_PX = 256
"""Side up to which an image takes one forward pass, whatever its crop; as in validation during training."""


def window_px(config: RunConfig) -> int:
    """Side of the square above which an image is predicted window by window."""
    crop = config.data.crop
    return max(_MIN_WINDOW_PX, crop if isinstance(crop, int) else 0)


def trained_size_px(manifest: Manifest) -> int | None:
    """Side of the square that `data pack --size` made of every image, None where images kept their size."""
    match = re.search(r"(?<!\S)--size[= ](\d+)(?!\S)", manifest.command)
    if match is None or set(manifest.sizes) != {f"{match.group(1)}x{match.group(1)}"}:
        return None
    return int(match.group(1))
