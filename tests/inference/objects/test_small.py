"""Small objects taken out band by band are those that the decision on a whole image takes out."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from unetpp.inference.masks.decide import Decision
from unetpp.inference.objects.small import remove_small
from unetpp.inference.predictor import masks_from_logits
from untrained_run import CLASSES

SIZES = st.tuples(st.integers(1, 24), st.integers(1, 12))


class _Manifest:
    def __init__(self, task):
        self.task, self.classes, self.num_classes = task, CLASSES[task], len(CLASSES[task])


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
@given(data=st.data(), size=SIZES, least_px=st.integers(2, 30), rows=st.integers(1, 7))
def test_remove_small_by_bands_is_what_the_whole_image_gives(task, data, size, least_px, rows):
    manifest = _Manifest(task)
    values = arrays(
        np.float32, (1, manifest.num_classes, *size), elements=st.sampled_from([-2.0, -0.5, 1.0, 3.0])
    )
    logits = torch.from_numpy(data.draw(values))
    whole = masks_from_logits(Decision(min_object_px=least_px).apply(logits, manifest), task)[0].numpy()

    mask = masks_from_logits(logits, task)
    others = logits.scatter(1, mask.long()[:, None], -1e4) if task == "multiclass" else None
    next_best = None if others is None else masks_from_logits(others, task)[0].numpy()
    found = mask[0].numpy().copy()
    remove_small(found, next_best, np.zeros(size, np.uint8), manifest, least_px, band_px=rows * size[1])
    assert np.array_equal(found, whole)


def test_remove_small_object_that_winds_through_all_bands_is_one():
    manifest = _Manifest("binary")
    mask = np.zeros((40, 5), np.uint8)
    mask[:, 0] = mask[:, 4] = 1
    mask[39] = 1
    mask[::2, 2] = 1
    remove_small(mask, None, np.zeros_like(mask), manifest, 80, band_px=15)
    assert mask[:, [0, 4]].all()
    assert not mask[:38, 2].any()
