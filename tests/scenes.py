"""Generated RGB images of three classes with their masks."""

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("background", "disc", "stripe")


def write_scenes(folder: Path, count: int, size_px: int) -> None:
    """`images/NNNN.png` and index `masks/NNNN.png`: a disc over a stripe, each of a colour of its own."""
    generator = np.random.default_rng(0)
    rows, columns = np.indices((size_px, size_px))
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for index in range(count):
        centre = generator.uniform(0.3, 0.7, 2) * size_px
        mask = np.zeros((size_px, size_px), np.uint8)
        mask[np.abs(rows - centre[0]) < 0.1 * size_px] = 2
        mask[np.hypot(rows - centre[0], columns - centre[1]) < 0.2 * size_px] = 1
        colours = generator.integers(40, 200, (3, 3))
        image = colours[mask] + generator.integers(0, 40, (size_px, size_px, 3))
        Image.fromarray(image.astype(np.uint8)).save(folder / "images" / f"{index:04d}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{index:04d}.png")
