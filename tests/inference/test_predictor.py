"""One image in, one mask of its size out."""

import numpy as np
import pytest
import torch

from unetpp.core.errors import InputError
from unetpp.core.rundir import RunDir
from unetpp.data.images.resize import resize_image
from unetpp.inference.engines.network import network_of_run
from unetpp.inference.predictor import (
    Predictor,
    check_image,
    masks_from_logits,
)
from unetpp.models.inference import predict_logits
from unetpp.models.load import load_run


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_predict_any_size_returns_mask_of_that_size(make_run, image, task):
    prediction = Predictor.from_run(make_run(task)).predict(image)
    assert prediction.mask.shape == (30, 21)
    assert prediction.mask.dtype == np.uint8
    assert prediction.probabilities.shape == ({"binary": 1, "multiclass": 3, "multilabel": 2}[task], 30, 21)


def test_predict_equals_network_head_on_normalised_pixels(make_run, image):
    predictor = Predictor.from_run(make_run())
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    expected = predictor.model((pixels - 70) / 40).levels[-1].sigmoid()[0].detach().numpy()
    assert np.allclose(predictor.predict(image).probabilities, expected, atol=1e-6)


def test_predict_after_resized_training_resizes_in_and_back(make_run, image):
    predictor = Predictor.from_run(make_run(sizes=[(24, 24)], resized_px=24))
    assert predictor.resized_px == 24
    small = predictor.predict(resize_image(image, 24, 24)).probabilities
    large = predictor.predict(image).probabilities
    assert large.shape == (1, 30, 21)
    assert abs(large.mean() - small.mean()) < 0.05


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda image: image[..., :2], "image has 2 channels, the model takes 3"),
        (lambda image: image.astype(np.uint16), "image is uint16, the model was trained on uint8"),
        (lambda image: image[None], "an image of this model is"),
        (lambda image: image[:0], "an image of this model is"),
    ],
)
def test_predict_unlike_training_data_is_refused(make_run, image, change, message):
    with pytest.raises(InputError, match=message):
        Predictor.from_run(make_run()).predict(change(image))


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_predict_computes_one_head_and_its_mask_is_that_of_the_whole_network(make_run, image, task):
    run = load_run(make_run(task))
    predictor = Predictor(network_of_run(run, torch.device("cpu")), torch.device("cpu"))
    assert len(run.model.supervised_levels) == 2
    assert predictor.model.supervised_levels == (2,)
    large = np.tile(image, (20, 2, 1))  # in windows
    for pixels in (image, large):
        normalised = run.normalise(torch.from_numpy(pixels).permute(2, 0, 1)[None])
        with torch.inference_mode():
            logits = predict_logits(
                run.model, normalised, window_px=512, least_px=run.config.patch_px
            ).levels[-1]
        expected = masks_from_logits(logits, task)[0].numpy()
        assert np.array_equal(predictor.mask(pixels), expected)
        assert np.array_equal(predictor.predict(pixels).mask, expected)


def test_check_image_makes_grey_and_rgb_alike_as_packing_does(make_run, image):
    rgb = RunDir(make_run()).read_dataset()
    grey = rgb.model_copy(update={"channels": 1})
    same = np.repeat(image[..., :1], 3, axis=2)
    assert np.array_equal(check_image(image[..., 0], rgb), same)
    assert np.array_equal(check_image(same, grey), image[..., :1])
    with pytest.raises(InputError, match="image has 3 channels, the model takes 1"):
        check_image(image, grey)


def test_masks_multilabel_set_one_bit_a_label():
    logits = torch.tensor([2.0, -2.0, 0.4]).view(1, 3, 1, 1)
    assert masks_from_logits(logits, "multilabel").item() == 0b101
