import numpy as np
import pytest

from unetpp.data.images.resize import resize_image, resize_mask


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_resize_image_shrunk_averages_and_keeps_the_dtype(dtype):
    image = np.zeros((8, 8, 2), dtype=dtype)
    image[:, ::2] = 200
    small = resize_image(image, 2, 2)
    assert small.dtype == dtype
    assert small.shape == (2, 2, 2)
    assert np.abs(small.astype(float) - 100).max() < 15


def test_resize_image_of_a_constant_stays_constant():
    image = np.full((5, 9, 1), 60_000, dtype=np.uint16)
    assert (resize_image(image, 12, 7) == 60_000).all()


def test_resize_mask_invents_no_label():
    mask = np.random.default_rng(0).choice(np.array([0, 3, 255], dtype=np.uint8), (33, 17))
    for size in ((8, 8), (64, 64)):
        assert set(np.unique(resize_mask(mask, *size)).tolist()) <= {0, 3, 255}


def test_resize_image_and_mask_stay_aligned():
    mask = np.zeros((64, 48), dtype=np.uint8)
    mask[20:50, 10:30] = 1
    image = (mask * 255)[:, :, None]
    agree = (resize_image(image, 32, 32)[:, :, 0] > 127) == (resize_mask(mask, 32, 32) == 1)
    assert agree.mean() > 0.97
