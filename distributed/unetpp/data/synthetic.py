"""Generated image sets with known masks, for demos and tests.

Cells are touching ellipses of varying brightness under uneven light, with blur, noise and debris that is
bright but no cell, so that no threshold separates them.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from unetpp.core.seeds import rng

__all__ = ["make_cells"]

_NOISE = 0.06
_BLUR_PX = 1.0


def make_cells(out_dir: Path, count: int, size_px: int, seed: int) -> None:
    """Write `images/NNNN.png` (grey uint8) and `masks/NNNN.png` (0 and 255), square, deterministic."""
    for index in range(count):
        image, mask = _cells(size_px, rng("cells", seed, index))
        _save(out_dir, index, image, mask.astype(np.uint8) * 255)


def _cells(size_px: int, random: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    grid = np.indices((size_px, size_px)).astype(np.float64)
    light = _illumination(grid, size_px, random)
    signal = np.zeros((size_px, size_px))
    mask = np.zeros((size_px, size_px), dtype=bool)
    centres = random.uniform(0, size_px, (1, 2))
    for _ in range(int(random.integers(8, 18))):
        radius = size_px * random.uniform(0.05, 0.11)
        # Half of the cells are put against one that is there already.
        anchor = centres[random.integers(len(centres))]
        angle = random.uniform(0, 2 * np.pi)
        beside = anchor + 2 * radius * np.array([np.sin(angle), np.cos(angle)])
        centre = beside if random.random() < 0.5 else random.uniform(0, size_px, 2)
        centres = np.vstack([centres, centre])
        distance = _ellipse(grid, centre, radius, radius * random.uniform(0.6, 1.0), random.uniform(0, np.pi))
        inside = distance < 1
        brightness = random.uniform(0.15, 0.6)
        signal = np.where(
            inside, np.maximum(signal, brightness * (1 - 0.4 * np.clip(distance, 0, 1))), signal
        )
        mask |= inside
    debris = _debris(grid, size_px, random)
    image = 0.1 + (signal + np.where(mask, 0, debris)) * light + 0.25 * light
    return _finish(image, random), mask


def _illumination(
    grid: NDArray[np.float64], size_px: int, random: np.random.Generator
) -> NDArray[np.float64]:
    slope = random.uniform(-0.5, 0.5, 2)
    return 1 + np.tensordot(slope, grid / size_px - 0.5, axes=1)


def _debris(grid: NDArray[np.float64], size_px: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Bright specks and one thin fibre."""
    total = np.zeros((size_px, size_px))
    for _ in range(int(random.integers(3, 9))):
        radius = size_px * random.uniform(0.008, 0.02)
        speck = _ellipse(grid, random.uniform(0, size_px, 2), radius, radius, 0.0) < 1
        total[speck] = random.uniform(0.3, 0.7)
    length, width = size_px * random.uniform(0.2, 0.4), size_px * 0.008
    fibre = _ellipse(grid, random.uniform(0, size_px, 2), length, width, random.uniform(0, np.pi)) < 1
    total[fibre] = random.uniform(0.2, 0.5)
    return total


def _ellipse(
    grid: NDArray[np.float64], centre: NDArray[np.float64], major: float, minor: float, angle: float
) -> NDArray[np.float64]:
    """Squared distance from the centre in units of the axes, H W; below 1 inside."""
    dy, dx = grid[0] - centre[0], grid[1] - centre[1]
    along = dx * np.cos(angle) + dy * np.sin(angle)
    across = dy * np.cos(angle) - dx * np.sin(angle)
    squared: NDArray[np.float64] = (along / major) ** 2 + (across / minor) ** 2
    return squared


def _finish(image: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.uint8]:
    sharp = Image.fromarray((np.clip(image, 0, 1) * 255).astype(np.uint8))
    blurred = np.asarray(sharp.filter(ImageFilter.GaussianBlur(_BLUR_PX))) / 255
    noisy = blurred + random.normal(0, _NOISE, image.shape)
    return (np.clip(noisy, 0, 1) * 255).astype(np.uint8)


def _save(out_dir: Path, index: int, image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> None:
    for name, pixels in (("images", image), ("masks", mask)):
        folder = out_dir / name
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{index:04d}.png")
