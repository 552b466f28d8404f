"""Fixtures of the prediction tests."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from untrained_run import random_samples, write_untrained_run

MakeRun = Callable[..., str]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """`write_untrained_run` below this test's folder."""
    return partial(write_untrained_run, tmp_path)


@pytest.fixture
def image() -> NDArray[np.uint8]:
    """uint8 (30, 21, 3)."""
    return random_samples("binary", [(30, 21)], seed=9)[0].image


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three good images in two folders, one damaged, one that is no image."""
    root = tmp_path / "images"
    (root / "sub").mkdir(parents=True)
    generator = np.random.default_rng(0)
    for name, size in (("a.png", (20, 31)), ("b.jpg", (16, 16)), ("sub/a.tif", (9, 40))):
        Image.fromarray(generator.integers(0, 255, (*size, 3), dtype=np.uint8)).save(root / name)
    (root / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    (root / "notes.txt").write_text("no image")
    return root
