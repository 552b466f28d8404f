"""Crops on foreground hold the drawn class, never chase ignored pixels and leave other draws alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from unetpp.core.manifest import IGNORE
from unetpp.data.stream.crop import crop_or_pad, draw_corner, foreground_pixel

TASKS = ("binary", "multiclass", "multilabel")
stored_masks = arrays.arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def counts_as_foreground(value: int, task: str) -> bool:
    return 0 < value < (128 if task == "multilabel" else IGNORE)


@given(stored_masks, st.sampled_from(TASKS), st.integers(0, 9))
def test_foreground_pixel_any_mask_is_scored_foreground_or_none(mask, task, seed):
    found = foreground_pixel(mask, task, np.random.default_rng(seed))
    if found is None:
        assert not any(counts_as_foreground(value, task) for value in mask.ravel().tolist())
    else:
        assert counts_as_foreground(int(mask[found]), task)


@pytest.mark.parametrize(
    ("task", "rare", "common"), [("multiclass", 7, 2), ("multilabel", 0b100, 0b001)], ids=["classes", "bits"]
)
def test_foreground_pixel_rare_class_is_drawn_as_often_as_the_common_one(task, rare, common):
    mask = np.full((40, 40), common, np.uint8)
    mask[3, 5] = rare
    mask[30:, :] = IGNORE
    generator = np.random.default_rng(0)
    hits = sum(foreground_pixel(mask, task, generator) == (3, 5) for _ in range(400))
    assert 150 < hits < 250


def test_foreground_pixel_overlapping_labels_each_count():
    mask = np.array([[0b011, 0b010]], np.uint8)
    generator = np.random.default_rng(0)
    hits = sum(foreground_pixel(mask, "multilabel", generator) == (0, 0) for _ in range(400))
    assert 250 < hits < 350  # always for label 0, half the time for label 1


@given(stored_masks, st.integers(1, 14), st.sampled_from(TASKS), st.integers(0, 9))
def test_draw_corner_certain_foreground_is_in_the_crop_wherever_it_lies(mask, side_px, task, seed):
    image = np.zeros((*mask.shape, 1), np.uint8)
    corner = draw_corner(mask, (side_px, side_px), np.random.default_rng(seed), foreground=1.0, task=task)
    _, cropped = crop_or_pad(image, mask, (side_px, side_px), corner)
    assert cropped.shape == (side_px, side_px)
    before, after = (
        any(counts_as_foreground(value, task) for value in part.ravel().tolist()) for part in (mask, cropped)
    )
    assert after == before


@given(stored_masks, st.integers(1, 14), st.integers(0, 9))
def test_draw_corner_without_foreground_probability_ignores_the_mask(mask, side_px, seed):
    corners = [
        draw_corner(part, (side_px, side_px), np.random.default_rng(seed), foreground=0.0, task="multiclass")
        for part in (mask, np.zeros_like(mask))
    ]
    assert corners[0] == corners[1]


def test_draw_corner_third_of_crops_finds_a_speck():
    mask = np.zeros((256, 256), np.uint8)
    mask[200, 17] = 1
    hits = 0
    for position in range(600):
        generator = np.random.default_rng(position)
        corner = draw_corner(mask, (16, 16), generator, foreground=0.33, task="binary")
        hits += bool(crop_or_pad(mask[..., None], mask, (16, 16), corner)[1].any())
    assert 140 < hits < 260  # 198 expected, against 3 of 600 by chance
