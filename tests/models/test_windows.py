"""Windows that cover an image: whole where it fits, equal and small where it does not."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.data.utils import compute_importance_map

from unetpp.models.inference import cover

sides = st.integers(1, 3000)
limits = st.integers(64, 512)


@given(size=st.tuples(sides, sides), largest=st.tuples(limits, limits), least=st.integers(16, 600))
def test_cover_reaches_every_pixel_with_the_overlap_and_within_the_limits(size, largest, least):
    covering = cover(size, largest, (least, least), (16, 16))
    assert covering.at_once >= 4
    assert covering.at_once * math.prod(covering.size_px) <= 4 * math.prod(largest)
    for side, limit, window, starts in zip(size, largest, covering.size_px, covering.starts, strict=True):
        assert min(side, limit, least) <= window <= min(side, limit)
        assert starts[0] == 0
        assert starts[-1] == side - window
        steps = [after - before for before, after in itertools.pairwise(starts)]
        assert all(0 < step <= window - window // 4 + 1 for step in steps)


def test_image_within_a_window_is_whole():
    assert cover((300, 512), (512, 512), (128, 128), (16, 16)).is_whole


def test_image_little_larger_than_a_window_is_covered_by_smaller_ones():
    covering = cover((2100, 520), (512, 512), (128, 128), (16, 16))
    assert covering.size_px == (448, 304)
    assert [len(axis) for axis in covering.starts] == [6, 2]
    assert covering.at_once == 7


def test_window_is_not_smaller_than_the_training_crop():
    assert cover((520, 520), (512, 512), (400, 512), (16, 16)).size_px == (400, 512)


@pytest.mark.parametrize("size", [(24, 16), (33, 20), (8, 12, 10)])
def test_weights_are_those_of_monai(size):
    covering = cover(size, size, size, (1,) * len(size))
    expected = compute_importance_map(size, mode="gaussian", sigma_scale=0.125, device="cpu")
    torch.testing.assert_close(covering.weights(), expected.clamp(min=1e-3).float())
