import tracemalloc

import numpy as np
import pytest

from scenes import CLASSES, write_scenes
from unetpp.core.errors import InputError
from unetpp.core.storage import Storage
from unetpp.data.pack.classes import ClassSpec
from unetpp.data.pack.discover import SourceFolder
from unetpp.data.pack.options import PackOptions
from unetpp.data.pack.pack import pack
from unetpp.data.preview import contact_sheet, overlay, to_rgb


@pytest.fixture
def scenes(tmp_path):
    write_scenes(tmp_path / "scene", 5, 24)
    folder = SourceFolder(str(tmp_path / "scene" / "images"), str(tmp_path / "scene" / "masks"))
    spec = ClassSpec.model_validate({"classes": CLASSES, "ignore_index": 255})
    return pack(
        [folder], str(tmp_path / "out"), PackOptions(val=0, test=0, classes=spec)
    ).manifest, tmp_path / "out"


def test_overlay_leaves_background_and_colours_classes(scenes):
    manifest, _ = scenes
    rgb = np.full((1, 4, 3), 100, dtype=np.uint8)
    drawn = overlay(rgb, np.array([[0, 1, 2, 255]], dtype=np.uint8), manifest)
    assert drawn[0, 0].tolist() == [100, 100, 100]
    assert len({tuple(pixel) for pixel in drawn[0].tolist()}) == 4


@pytest.mark.slow
def test_contact_sheet_shows_each_sample_and_its_overlay(scenes):
    manifest, out = scenes
    few, many = (contact_sheet(Storage(str(out)), split="train", count=n)[0] for n in (1, 5))
    assert many.width > few.width
    assert many.height > few.height
    colours = {colour for _, colour in many.getcolors(1 << 24)}
    assert manifest.classes[1].colour in colours


def test_contact_sheet_of_an_unknown_split_names_the_known(scenes):
    with pytest.raises(InputError, match=r"split=test.*train"):
        contact_sheet(Storage(str(scenes[1])), split="test", count=1)


@pytest.mark.parametrize(("channels", "dtype"), [(1, "uint8"), (2, "uint16"), (5, "float32")])
def test_to_rgb_of_any_image_is_rgb_between_black_and_white(channels, dtype):
    image = np.linspace(-5, 500, 6 * channels).reshape(2, 3, channels).clip(0).astype(dtype)
    rgb = to_rgb(image, [0.0] * channels, [200.0] * channels)
    assert (rgb.shape, rgb.dtype) == ((2, 3, 3), np.uint8)
    assert rgb.min() == 0
    assert rgb.max() == 255


@pytest.mark.slow
def test_large_pictures_are_drawn_in_parts_that_give_the_same_picture(scenes, monkeypatch):
    manifest, _ = scenes
    draw = np.random.default_rng(0)
    image = draw.integers(0, 256, (1500, 1000, 3), dtype=np.uint8)
    mask = draw.integers(0, 3, image.shape[:2], dtype=np.uint8)

    def drawn():
        return overlay(to_rgb(image, [0.0] * 3, [200.0] * 3), mask, manifest)

    monkeypatch.setattr("unetpp.data.preview._BLOCK_PIXELS", image[..., 0].size)
    whole = drawn()
    monkeypatch.setattr("unetpp.data.preview._BLOCK_PIXELS", 10_000)
    tracemalloc.start()
    parts = drawn()
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(parts, whole)
    # The two pictures, and what is computed of ten rows at a time.
    assert peak_bytes < 2 * image.nbytes + 2**21
