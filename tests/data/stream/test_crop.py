"""Crops cut image and mask at the same place and pad with pixels that never count."""

import numpy as np
import pytest

from unetpp.core.manifest import IGNORE
from unetpp.data.stream.crop import crop_or_pad, draw_corner


@pytest.mark.parametrize(("height", "width"), [(40, 30), (16, 16), (10, 50), (5, 7)])
def test_crop_or_pad_any_size_keeps_image_and_mask_aligned(height, width):
    mask = np.arange(height * width, dtype=np.uint32).reshape(height, width) % 200
    image = np.stack([mask] * 2, axis=-1).astype(np.uint16)
    mask = mask.astype(np.uint8)
    corner = draw_corner(mask, (16, 16), np.random.default_rng(0), foreground=0.0, task="binary")
    out_image, out_mask = crop_or_pad(image, mask, (16, 16), corner)
    assert out_image.shape == (16, 16, 2)
    assert out_image.dtype == np.uint16
    assert out_mask.shape == (16, 16)
    seen = out_mask != IGNORE
    assert np.array_equal(out_image[..., 0][seen], out_mask[seen])
    assert seen.sum() == min(height, 16) * min(width, 16)


def test_crop_or_pad_same_generator_state_cuts_the_same_place():
    image = np.random.default_rng(1).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    corners = [
        draw_corner(image[..., 0], (16, 16), np.random.default_rng(7), foreground=0.5, task="multiclass")
        for _ in range(2)
    ]
    assert corners[0] == corners[1]
