"""Images that share a pass are answered as each is alone, whatever comes before and after them."""

import numpy as np
import pytest
import torch
from PIL import Image

from unetpp.core.errors import InputError
from unetpp.core.storage import open_storage
from unetpp.inference.engines import network
from unetpp.inference.inputs import find_images
from unetpp.inference.many.options import PredictOptions
from unetpp.inference.many.worker import Worker
from unetpp.inference.predictor import Predictor


@pytest.fixture
def together(monkeypatch):
    """Small images share passes in float32, too: the numbers differ in the last bits alone."""
    monkeypatch.setattr(network, "_at_once_px", lambda *_: 3 * 24 * 24)


@pytest.fixture
def passes(monkeypatch):
    """Numbers of images in each pass."""
    seen = []
    predict = Predictor._logits

    def counted(predictor, pixels):
        seen.append(len(pixels))
        return predict(predictor, pixels)

    monkeypatch.setattr(Predictor, "_logits", counted)
    return seen


def pictures(sizes):
    return [
        np.random.default_rng(index).integers(0, 255, (*size, 3), np.uint8)
        for index, size in enumerate(sizes)
    ]


@pytest.mark.usefixtures("together")
@pytest.mark.parametrize("resized_px", [None, 16])
def test_predict_many_answers_as_predict_does_and_shares_passes(make_run, passes, resized_px):
    predictor = Predictor.of(make_run("multiclass", resized_px=resized_px))
    images = pictures([(24, 24)] * 4 + [(10, 30)] + [(24, 24)])
    alone = [predictor.predict(image) for image in images]
    del passes[:]
    for found, expected in zip(predictor.predict_many(images), alone, strict=True):
        assert np.array_equal(found.mask, expected.mask)
        assert np.allclose(found.probabilities, expected.probabilities, atol=1e-4)
    assert passes == ([3, 1, 1, 1] if resized_px is None else [4, 1, 1])
    for mask, expected in zip(predictor.masks(images), alone, strict=True):
        assert np.array_equal(mask, expected.mask)


def test_float32_on_a_cpu_takes_one_after_another_as_the_last_bits_would_differ(make_run, passes):
    predictor = Predictor.of(make_run())
    if predictor.device.type == "cpu":
        predictor.predict_many(pictures([(24, 24)] * 3))
        assert passes == [1, 1, 1]


def test_at_once_is_bounded_by_pixels():
    window_px, cpu = (512, 512), torch.device("cpu")
    assert network._at_once_px(window_px, torch.float32, cpu) == 0
    assert network._at_once_px(window_px, torch.bfloat16, cpu) == 4 * 128 * 128
    assert network._at_once_px(window_px, torch.bfloat16, torch.device("cuda")) == 4 * 512 * 512


@pytest.mark.usefixtures("together")
def test_worker_joins_neighbours_of_one_shape_only(make_run, passes, tmp_path):
    for index, image in enumerate(pictures([(24, 24), (24, 24), (20, 24), (24, 24), (24, 24), (24, 24)])):
        Image.fromarray(image).save(tmp_path / f"{index}.png")
    worker = Worker(Predictor.of(make_run()), open_storage(tmp_path / "out"), PredictOptions())
    outcomes = list(worker(find_images(str(tmp_path / "*.png")).images))
    assert [outcome.name for outcome in outcomes] == [f"{index}.png" for index in range(6)]
    assert passes == [2, 1, 3]


@pytest.mark.usefixtures("together")
def test_image_that_fails_in_company_is_told_alone(make_run, tmp_path, monkeypatch):
    images = pictures([(24, 24)] * 3)
    for index, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{index}.png")
    masks = Predictor.masks

    def failing(predictor, asked):
        if any(np.array_equal(image, images[1]) for image in asked):
            raise InputError("it does not fit")
        return masks(predictor, asked)

    monkeypatch.setattr(Predictor, "masks", failing)
    worker = Worker(Predictor.of(make_run()), open_storage(tmp_path / "out"), PredictOptions())
    outcomes = {entry.name: entry.reason for entry in worker(find_images(str(tmp_path / "*.png")).images)}
    assert outcomes == {"0.png": None, "1.png": "it does not fit", "2.png": None}


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (5, 2)])
def test_tiny_image_gets_a_mask_of_its_size(make_run, size):
    (image,) = pictures([size])
    assert Predictor.of(make_run()).mask(image).shape == size
