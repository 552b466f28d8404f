"""Common corruptions at five severities, after Hendrycks and Dietterich 2019 (ImageNet-C).

Each takes values where 0 is dark and 1 is bright, float64 H W C, and the parameter of its severity; noise is
drawn from a generator of the image's own, so that an image is corrupted alike in every evaluation. Parameters
are those of ImageNet-C. Brightness is added to every channel alike, and JPEG compresses channels one by one
unless there are three.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

__all__ = ["CORRUPTIONS", "SEVERITIES", "Corruption", "corrupt"]

SEVERITIES = (1, 2, 3, 4, 5)
Values = NDArray[np.float64]
_Apply = Callable[[Values, float, np.random.Generator], Values]


@dataclass(frozen=True)
class Corruption:
    """A way in which images get worse."""

    apply: _Apply
    parameters: tuple[float, float, float, float, float]
    """By severity, mild to strong."""


def _gaussian_noise(values: Values, std: float, generator: np.random.Generator) -> Values:
    return values + generator.normal(0, std, values.shape)


def _shot_noise(values: Values, photons: float, generator: np.random.Generator) -> Values:
    """Photons are those of a white pixel."""
    return np.asarray(generator.poisson(values.clip(0) * photons) / photons, np.float64)


def _impulse_noise(values: Values, share: float, generator: np.random.Generator) -> Values:
    draws = generator.random(values.shape)
    return np.where(draws < share / 2, 0.0, np.where(draws < share, 1.0, values))


def _gaussian_blur(values: Values, sigma_px: float, _generator: np.random.Generator) -> Values:
    blurred = ndimage.gaussian_filter(values, (sigma_px, sigma_px, 0), mode="nearest")
    return np.asarray(blurred, np.float64)


def _pixelate(values: Values, share: float, _generator: np.random.Generator) -> Values:
    """Sides shrink to their share, and grow back in blocks."""
    height, width = values.shape[:2]
    small = max(1, round(width * share)), max(1, round(height * share))
    planes = [Image.fromarray(values[..., channel].astype(np.float32)) for channel in range(values.shape[2])]
    blocks = [
        plane.resize(small, Image.Resampling.BOX).resize((width, height), Image.Resampling.NEAREST)
        for plane in planes
    ]
    return np.stack([np.asarray(block, np.float64) for block in blocks], -1)


def _brightness(values: Values, added: float, _generator: np.random.Generator) -> Values:
    return values + added


def _contrast(values: Values, kept: float, _generator: np.random.Generator) -> Values:
    mean = values.mean((0, 1), keepdims=True)
    return np.asarray((values - mean) * kept + mean, np.float64)


def _jpeg(values: Values, quality: float, _generator: np.random.Generator) -> Values:
    pixels = (values * 255).round().clip(0, 255).astype(np.uint8)
    if pixels.shape[2] == 3:
        return _compressed(pixels, int(quality)) / 255.0
    channels = [_compressed(pixels[..., channel], int(quality)) for channel in range(pixels.shape[2])]
    return np.stack(channels, -1) / 255.0


def _compressed(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


CORRUPTIONS: dict[str, Corruption] = {
    "gaussian_noise": Corruption(_gaussian_noise, (0.08, 0.12, 0.18, 0.26, 0.38)),
    "shot_noise": Corruption(_shot_noise, (60, 25, 12, 5, 3)),
    "impulse_noise": Corruption(_impulse_noise, (0.03, 0.06, 0.09, 0.17, 0.27)),
    "gaussian_blur": Corruption(_gaussian_blur, (1, 2, 3, 4, 6)),
    "pixelate": Corruption(_pixelate, (0.6, 0.5, 0.4, 0.3, 0.25)),
    "brightness": Corruption(_brightness, (0.1, 0.2, 0.3, 0.4, 0.5)),
    "contrast": Corruption(_contrast, (0.4, 0.3, 0.2, 0.1, 0.05)),
    "jpeg": Corruption(_jpeg, (25, 18, 15, 10, 7)),
}
"""By name."""


def corrupt(values: Values, name: str, severity: int, generator: np.random.Generator) -> Values:
    """A corrupted picture, or volume plane by plane; values are clipped to [0, 1].

    Args:
        values: float64 H W C, or Z H W C; 0 is dark and 1 is bright.
        name: one of `CORRUPTIONS`.
        severity: one of `SEVERITIES`.
        generator: of the image.
    """
    corruption = CORRUPTIONS[name]
    parameter = corruption.parameters[severity - 1]
    planes = values if values.ndim == 4 else values[None]
    changed = np.stack([corruption.apply(plane, parameter, generator) for plane in planes]).clip(0, 1)
    return changed if values.ndim == 4 else changed[0]
