"""One image in, one mask of its size out."""

import numpy as np
import pytest
import torch

from unetpp.core.errors import InputError
from unetpp.data.resize import resize_image
from unetpp.predict.predictor import Predictor, masks_from_probabilities


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
        (lambda image: image[..., 0], "image has 1 channels, the model takes 3"),
        (lambda image: image.astype(np.uint16), "image is uint16, the model was trained on uint8"),
        (lambda image: image[None], "an image is"),
        (lambda image: image[:0], "an image is"),
    ],
)
def test_predict_unlike_training_data_is_refused(make_run, image, change, message):
    with pytest.raises(InputError, match=message):
        Predictor.from_run(make_run()).predict(change(image))


def test_masks_multilabel_set_one_bit_a_label():
    probabilities = torch.tensor([0.9, 0.1, 0.6]).view(1, 3, 1, 1)
    assert masks_from_probabilities(probabilities, "multilabel").item() == 0b101
