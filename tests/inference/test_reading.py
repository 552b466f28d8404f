"""Images are understood in prediction as they were in packing."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from unetpp.core.errors import InputError
from unetpp.data.images.decode import read_image
from unetpp.data.images.pixels import PLAIN, complete
from unetpp.inference.batch import predict_paths
from unetpp.inference.predictor import Predictor

RANDOM = np.random.default_rng(2)


def mask_of(run: str, image: Path, out: Path) -> np.ndarray:
    predict_paths(run, str(image), str(out))
    with Image.open(out / image.with_suffix(".png").name) as mask:
        return np.asarray(mask)


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_predicted_mask_is_255_where_the_image_holds_no_data(make_run, tmp_path, task):
    image = RANDOM.integers(1, 255, (30, 22, 3), dtype=np.uint8)
    image[:9] = 0
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="rgb", extratags=[(42113, "s", 2, "0", True)])
    run = make_run(task)
    mask = mask_of(run, tmp_path / "a.tif", tmp_path / "out")
    assert (mask[:9] == 255).all()
    filled = complete(read_image((tmp_path / "a.tif").read_bytes()), PLAIN).values
    np.testing.assert_array_equal(mask[9:], Predictor.from_run(run).predict(filled).mask[9:])


def settle(run: str, reading: dict[str, str]) -> None:
    """As if the run's data had been packed with these options."""
    path = next(path for path in Path(run).glob("*.json") if "fingerprint" in json.loads(path.read_text()))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"reading": reading}))


def test_band_tagged_as_alpha_is_left_out_if_packing_was_told_so(make_run, tmp_path):
    image = RANDOM.integers(0, 255, (30, 22, 4), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="rgb", extrasamples=["unassalpha"])
    run = make_run()
    with pytest.raises(InputError, match=r"band 4 of 4 is tagged as alpha"):
        mask_of(run, tmp_path / "a.tif", tmp_path / "out")
    settle(run, {"alpha": "drop"})
    mask = mask_of(run, tmp_path / "a.tif", tmp_path / "out")
    np.testing.assert_array_equal(mask, Predictor.from_run(run).predict(image[..., :3].copy()).mask)


def test_image_with_an_orientation_gets_a_mask_as_it_is_shown(make_run, tmp_path):
    image = RANDOM.integers(0, 255, (30, 22, 3), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="rgb", extratags=[(274, "H", 1, 6, True)])
    run = make_run()
    mask = mask_of(run, tmp_path / "a.tif", tmp_path / "out")
    shown = np.ascontiguousarray(np.rot90(image, -1))
    np.testing.assert_array_equal(mask, Predictor.from_run(run).predict(shown).mask)
