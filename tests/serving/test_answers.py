"""Bodies of answers give back the mask they were made from."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from unetpp.core.errors import InputError
from unetpp.core.manifest import ClassInfo, Manifest
from unetpp.data.annotations.polygons import fill_polygons
from unetpp.inference.prediction import Prediction
from unetpp.serving.answers import check_form, encode
from untrained_run import CLASSES

SIZE = (13, 21)


def prediction(task: str, seed: int = 0) -> Prediction:
    top = {"binary": 2, "multiclass": 3, "multilabel": 4}[task]
    mask = np.random.default_rng(seed).integers(0, top, SIZE).astype(np.uint8)
    mask[3:9, 4:15] = 1
    classes = CLASSES[task]
    if task == "multiclass":
        classes = (ClassInfo(name="background", colour=(0, 0, 0)), *classes[1:])
    manifest = Manifest.model_construct(task=task, classes=classes)
    return Prediction(mask, np.zeros((1, *SIZE), np.float32), manifest)


def region(found: Prediction, name: str) -> np.ndarray:
    index = [entry.name for entry in found.manifest.classes].index(name)
    return found.mask == index if found.manifest.task == "multiclass" else (found.mask >> index & 1) == 1


def test_png_holds_the_mask():
    found = prediction("multiclass")
    body, media_type = encode(found, "png")
    assert media_type == "image/png"
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(body))), found.mask)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_runs_and_polygons_give_every_class_but_the_background_pixel_for_pixel(task, seed):
    found = prediction(task, seed)
    runs, polygons = (json.loads(encode(found, form)[0]) for form in ("rle", "polygons"))
    for document in (runs, polygons):
        assert (document["height"], document["width"]) == SIZE
        names = [entry["class"] for entry in document["regions"]]
        assert names == [entry.name for entry in found.manifest.classes if entry.name != "background"]
    for entry in runs["regions"]:
        values = np.arange(len(entry["rle"]["counts"])) % 2
        flat = np.repeat(values, entry["rle"]["counts"])
        np.testing.assert_array_equal(flat.reshape(SIZE, order="F"), region(found, entry["class"]))
    for entry in polygons["regions"]:
        drawn = sum(
            fill_polygons([np.array(line) for line in part], *SIZE).astype(int) for part in entry["polygons"]
        )
        np.testing.assert_array_equal(drawn, region(found, entry["class"]))


def test_class_without_a_pixel_has_no_region():
    found = prediction("binary")
    found.mask[:] = 0
    assert json.loads(encode(found, "rle")[0])["regions"] == []


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_pixels_without_data_are_of_no_class(task):
    found = prediction(task)
    before = {entry["class"]: entry["rle"] for entry in json.loads(encode(found, "rle")[0])["regions"]}
    found.mask[found.mask == 0] = 255
    after = {entry["class"]: entry["rle"] for entry in json.loads(encode(found, "rle")[0])["regions"]}
    assert after == before


def test_unknown_form_is_refused_by_those_that_are():
    with pytest.raises(InputError, match="format=gif must be one of png, rle, polygons"):
        check_form("gif")
