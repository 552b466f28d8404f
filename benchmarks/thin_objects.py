"""Generated sets of thin foreground: cracks in grey ground, vessels in colour."""

import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from unetpp.api.functions import pack

__all__ = ["THIN_SETS"]

_CRACK_PX, _VESSEL_PX = 256, 384
_VESSEL_COLOUR = (14, 26, 10)
"""What a vessel takes from the ground's red, green and blue."""


def draw_cracks(folder: Path) -> Path:
    """200 grey images with wandering dark lines, two or three pixels wide, on uneven ground; packed."""
    generator = np.random.default_rng(0)
    images, masks = _folders(folder)
    for index in range(200):
        ground = Image.fromarray(generator.integers(90, 190, (16, 16)).astype(np.uint8))
        ground = ground.resize((_CRACK_PX, _CRACK_PX), Image.Resampling.BICUBIC)
        mask = Image.new("L", ground.size)
        for _ in range(2):
            places = np.cumsum(generator.normal(0, 6, (40, 2)) + generator.normal(0, 4, 2), axis=0)
            points = [tuple(place) for place in places + generator.uniform(60, 200, 2)]
            ImageDraw.Draw(mask).line(points, fill=1, width=int(generator.integers(2, 4)))
        found = np.asarray(mask)
        grey = np.asarray(ground) - 35.0 * found + generator.normal(0, 14, found.shape)
        Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(images / f"{index:03}.png")
        mask.save(masks / f"{index:03}.png")
    pack(str(images), str(masks), out=str(folder / "packed"))
    return folder / "packed"


def draw_vessels(folder: Path) -> Path:
    """60 colour images with branching lines, one to three pixels wide, in little contrast; packed."""
    generator = np.random.default_rng(1)
    images, masks = _folders(folder)
    size = (_VESSEL_PX, _VESSEL_PX)
    for index in range(60):
        mask = Image.new("L", size)
        for _ in range(4):
            x, y = generator.uniform(0, _VESSEL_PX), generator.uniform(0, _VESSEL_PX)
            _branch(ImageDraw.Draw(mask), generator, x, y, generator.uniform(0, 6.28), 3.2, 40)
        found = np.asarray(mask) > 0
        colours = Image.fromarray(generator.integers(110, 170, (6, 6, 3)).astype(np.uint8))
        ground = np.asarray(colours.resize(size, Image.Resampling.BICUBIC), np.float64)
        soft = Image.fromarray((found * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.7))
        shade = np.asarray(soft, np.float64)[..., None] / 255 * np.array(_VESSEL_COLOUR)
        image = ground - shade + generator.normal(0, 11, ground.shape)
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(images / f"{index:03}.png")
        Image.fromarray(found.astype(np.uint8)).save(masks / f"{index:03}.png")
    pack(str(images), str(masks), out=str(folder / "packed"), val=0.15, test=0.25)
    return folder / "packed"


def _branch(
    draw: ImageDraw.ImageDraw,
    generator: np.random.Generator,
    x: float,
    y: float,
    angle: float,
    width_px: float,
    steps: int,
) -> None:
    for _ in range(steps):
        angle += generator.normal(0, 0.18)
        end = x + 7 * math.cos(angle), y + 7 * math.sin(angle)
        draw.line([(x, y), end], fill=255, width=max(1, round(width_px)))
        x, y = end
        if width_px > 1.5 and generator.random() < 0.12:
            turn = generator.choice([-1, 1]) * generator.uniform(0.4, 0.9)
            _branch(draw, generator, x, y, angle + turn, width_px * 0.75, int(steps * 0.6))


def _folders(folder: Path) -> tuple[Path, Path]:
    images, masks = folder / "images", folder / "masks"
    for place in (images, masks):
        place.mkdir(parents=True, exist_ok=True)
    return images, masks


THIN_SETS = {"cracks": draw_cracks, "vessels": draw_vessels}
"""Each draws a set below a folder and returns the packed dataset."""
