"""Small image folders and the packing of them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from faulty_proxy import FaultyProxy, faulty_proxy
from unetpp.data.dataset.sample import Sample
from unetpp.data.pack.discover import SourceFolder
from unetpp.data.synthetic import make_cells

SaveImage = Callable[..., Path]


@pytest.fixture(scope="session")
def cells(tmp_path_factory: pytest.TempPathFactory) -> SourceFolder:
    """Twelve grey 32-pixel images with 0/255 masks; never written to."""
    folder = tmp_path_factory.mktemp("cells")
    make_cells(folder, 12, 32, seed=3)
    return SourceFolder(str(folder / "images"), str(folder / "masks"))


@pytest.fixture
def save() -> Callable[[Path, Any], Path]:
    """Write an array as an image file, folders included."""

    def save_image(path: Path, pixels: Any, **options: Any) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".npy":
            np.save(path, pixels)
        else:
            Image.fromarray(np.asarray(pixels)).save(path, **options)
        return path

    return save_image


@pytest.fixture
def folder(tmp_path: Path) -> SourceFolder:
    """An empty pair of folders."""
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    return SourceFolder(str(tmp_path / "images"), str(tmp_path / "masks"))


@pytest.fixture
def make_sample() -> Callable[..., Sample]:
    """A random sample of the wanted shape."""

    def make(
        sample_id: str = "a", height: int = 6, width: int = 5, channels: int = 3, dtype: str = "uint8"
    ) -> Sample:
        random = np.random.default_rng(len(sample_id) + height)
        image = (random.random((height, width, channels)) * 200).astype(dtype)
        mask = random.integers(0, 2, (height, width)).astype(np.uint8)
        return Sample(sample_id, sample_id, image, mask, None, f"{sample_id}.png", (height, width))

    return make


@pytest.fixture
def proxy(s3_env: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """A proxy before the S3 server that fails on demand; this process reaches S3 through it."""
    with faulty_proxy(s3_env.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        yield proxy
