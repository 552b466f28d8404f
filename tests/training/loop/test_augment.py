"""Augmentation moves image and mask together and depends on the sample's position alone."""

import numpy as np
import pytest
import torch

from unetpp.config.sections.data import AugmentConfig
from unetpp.core.manifest import IGNORE
from unetpp.training.loop.augment import apply_augment, draw_params

STILL = AugmentConfig(flip=0, affine=0, colour=0, noise=0)


def params(config: AugmentConfig, positions: list[int], *, epoch: int = 0):
    return draw_params(config, seed=1, epoch=epoch, positions=np.array(positions), channels=3)


def batch(count: int, side_px: int = 16):
    masks = torch.randint(0, 3, (count, side_px, side_px), dtype=torch.uint8)
    images = masks.unsqueeze(1).float().repeat(1, 3, 1, 1)
    return images, masks


def test_augment_all_probabilities_zero_changes_nothing():
    images, masks = batch(3)
    out_images, out_masks = apply_augment(images, masks, params(STILL, [0, 1, 2]))
    torch.testing.assert_close(out_images, images, atol=1e-5, rtol=0)
    assert torch.equal(out_masks, masks)


@pytest.mark.parametrize("position", range(8))
def test_augment_flip_moves_image_and_mask_alike(position):
    images, masks = batch(1)
    out_images, out_masks = apply_augment(
        images, masks, params(AugmentConfig(flip=0.5, affine=0, colour=0, noise=0), [position])
    )
    torch.testing.assert_close(out_images[:, 0].round().to(torch.uint8), out_masks)
    flips = [masks, masks.flip(1), masks.flip(2), masks.flip(1, 2)]
    assert any(torch.equal(out_masks, flipped) for flipped in flips)


def test_augment_rotation_leaves_ignored_pixels_where_nothing_was_seen():
    images, masks = torch.zeros(1, 3, 32, 32), torch.ones(1, 32, 32, dtype=torch.uint8)
    config = AugmentConfig(flip=0, affine=1, rotate_deg=45, scale=(0.7, 0.7), colour=0, noise=0)
    _, out_masks = apply_augment(images, masks, params(config, [0]))
    assert set(out_masks.unique().tolist()) == {1, IGNORE}
    assert out_masks[0, 16, 16] == 1


def test_augment_batch_split_gives_the_same_samples():
    images, masks = batch(6)
    config = AugmentConfig(affine=1)
    whole = apply_augment(images, masks, params(config, list(range(6))))
    halves = [
        apply_augment(images[s], masks[s], params(config, list(range(6))[s]))
        for s in (slice(0, 2), slice(2, 6))
    ]
    torch.testing.assert_close(torch.cat([h[0] for h in halves]), whole[0])
    assert torch.equal(torch.cat([h[1] for h in halves]), whole[1])


def test_augment_next_epoch_draws_anew():
    config = AugmentConfig()
    assert not np.array_equal(params(config, [0, 1]).noise_seed, params(config, [0, 1], epoch=1).noise_seed)
    assert np.array_equal(params(config, [0, 1]).matrix, params(config, [0, 1]).matrix)
