"""Bands that a TIFF tags as alpha: transparency, or data that a program tagged so because it came fourth."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetpp.data.images.header import SampleError, UndecidedError
from unetpp.data.images.pixels import Reading

__all__ = ["alpha_bands", "kept_bands", "require_no_alpha_mask"]

_ALPHA = {1, 2}
"""Values of the tag ExtraSamples: associated and unassociated alpha."""


def alpha_bands(page: Any, channels: int) -> tuple[int, ...]:
    """Which channels are tagged, wherever they stand; the extra ones are the last of a page's samples."""
    extra = [int(sample) for sample in page.extrasamples]
    if int(page.samplesperpixel) != channels:
        return ()
    first = channels - len(extra)
    return tuple(first + index for index, kind in enumerate(extra) if kind in _ALPHA)


def kept_bands(image: NDArray[Any], alpha: tuple[int, ...], reading: Reading) -> list[int]:
    """Channels that are data; a constant alpha band is none, unless alpha is to be kept.

    Raises:
        UndecidedError: an alpha band varies, and nothing was said of it.
    """
    channels = image.shape[-1]
    if reading.alpha == "keep":
        return list(range(channels))
    if reading.alpha is None:
        varying = [band for band in alpha if _varies(image[..., band])]
        if varying:
            raise UndecidedError(
                f"band {varying[0] + 1} of {channels} is tagged as alpha but is not constant; --alpha keep "
                "takes it for data, such as near infrared that programs tag so, --alpha drop leaves it out"
            )
    return [band for band in range(channels) if band not in alpha]


def require_no_alpha_mask(mask: NDArray[Any], alpha: tuple[int, ...]) -> None:
    """Raises SampleError for a mask that only its transparency shows."""
    others = [band for band in range(mask.shape[-1]) if band not in alpha]
    if any(_varies(mask[..., band]) for band in alpha) and not any(_varies(mask[..., b]) for b in others):
        raise SampleError("the mask is empty but for its alpha band; save that band as a grey image")


def _varies(band: NDArray[Any]) -> bool:
    return bool(np.min(band) != np.max(band))
