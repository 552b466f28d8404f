"""Offsets of classes against what the largest logit alone reaches."""

import numpy as np
import torch

from unetpp.objective.offsets import OffsetSearch


def drawn(seed, bias, images=6):
    """Logits (N, 3, 40, 40) that know the truth but for noise and a bias of each class, and masks."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.multinomial(torch.tensor([0.8, 0.17, 0.03]), images * 1600, True, generator=generator)
    truth = torch.nn.functional.one_hot(mask, 3).T.reshape(3, images, 40, 40).transpose(0, 1)
    noise = torch.randn(truth.shape, generator=generator)
    return 2.5 * truth + noise - torch.tensor(bias).view(1, 3, 1, 1), mask.view(images, 40, 40).byte()


def mean_dice(logits, mask, thresholds):
    shift = torch.tensor([np.log(each / (1 - each)) for each in thresholds]).view(1, 3, 1, 1)
    found = (logits - shift).argmax(1)
    return np.mean(
        [
            float(2 * ((found == k) & (mask == k)).sum() / ((found == k).sum() + (mask == k).sum()))
            for k in range(3)
        ]
    )


def test_offsets_make_up_for_a_bias_on_images_that_were_not_looked_at():
    search = OffsetSearch(3)
    for logits, mask in zip(*drawn(0, [0.0, 1.0, 2.0]), strict=True):
        search.update(logits[None], mask[None])
    found = search.best()
    others = drawn(1, [0.0, 1.0, 2.0])
    assert mean_dice(*others, found) > mean_dice(*others, (0.5,) * 3) + 0.02

    assert np.mean(search.dice(found)) > np.mean(search.dice((0.5,) * 3))


def test_offsets_of_a_network_that_needs_none_are_one_half():
    search = OffsetSearch(3)
    truth = torch.randint(0, 3, (2, 20, 20), generator=torch.Generator().manual_seed(0))
    search.update(20.0 * torch.nn.functional.one_hot(truth, 3).permute(0, 3, 1, 2), truth.byte())
    assert search.best() == (0.5, 0.5, 0.5)


def test_offsets_ignored_pixels_do_not_count():
    logits, mask = drawn(0, [0.0, 1.0, 2.0], images=2)
    with_ignored, without = OffsetSearch(3), OffsetSearch(3)
    without.update(logits[:, :, 10:], mask[:, 10:])
    mask[:, :10] = 255
    with_ignored.update(logits, mask)
    assert with_ignored.best() == without.best()


def test_offsets_pixels_that_are_kept_do_not_grow_with_the_images(monkeypatch):
    monkeypatch.setattr("unetpp.objective.offsets._PIXELS", 5000)
    search = OffsetSearch(3)
    logits, mask = drawn(0, [0.0, 0.0, 0.0])
    for _ in range(10):
        search.update(logits, mask)
    assert sum(map(len, search._truth)) <= 5000
