"""Volumes in memory, opened through the registry as a format of their own: `NAME.volume`, an NPZ file."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unetpp.data.images.header import Header
from unetpp.data.sources import registry
from unetpp.data.sources.files import FileRef, read_file
from unetpp.data.sources.raster import Box, Pixels, Space

SUFFIX = ".volume"


class Volume:
    def __init__(self, data: bytes) -> None:
        with np.load(io.BytesIO(data)) as arrays:
            self._values, spacing = arrays["values"], arrays["spacing"]
        self.digest = sha256(data).digest()
        planes, height, width, channels = self._values.shape
        self.header = Header(height, width, channels, self._values.dtype.name, planes)
        self.space = Space(spacing=tuple(spacing.tolist()), unit="mm")

    def read(self, box: Box | None = None) -> Pixels:
        return Pixels(self._values if box is None else self._values[box.slices])


@contextmanager
def open_image(ref: FileRef) -> Iterator[Volume]:
    yield Volume(read_file(ref))


open_labels = open_image


def register(monkeypatch: pytest.MonkeyPatch) -> None:
    """For one test; Ray's workers do not know the format."""
    entry = registry.Format("test volume", (SUFFIX,), __name__)
    monkeypatch.setattr(registry, "FORMATS", (*registry.FORMATS, entry))


def save_volume(path: Path, values: Any, spacing: tuple[float, ...] = (3.0, 1.0, 1.0)) -> None:
    """`values` Z H W or Z H W C."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.asarray(values)
    with path.open("wb") as file:
        np.savez(file, values=array if array.ndim == 4 else array[..., None], spacing=spacing)


def ball_volumes(folder: Path, count: int, shape: tuple[int, int, int] = (8, 24, 20)) -> None:
    """Bright balls of another size and place in each volume, and their masks."""
    generator = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"))
    for index in range(count):
        centre = generator.uniform(0.35, 0.65, 3) * shape
        # Planes are three times as far apart as rows.
        offset = (grid - centre[:, None, None, None]) * np.array([3.0, 1.0, 1.0])[:, None, None, None]
        mask = (np.sqrt((offset**2).sum(0)) < generator.uniform(5, 8)).astype(np.uint8)
        image = mask * 120 + generator.normal(60, 12, shape)
        save_volume(folder / "images" / f"case{index}{SUFFIX}", image.clip(0, 255).astype(np.uint8))
        save_volume(folder / "masks" / f"case{index}{SUFFIX}", mask)
