import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from unetpp.objective.distance import distance_to, signed_distance

REGIONS = st.lists(st.integers(1, 9), min_size=2, max_size=3).flatmap(
    lambda shape: arrays(bool, tuple(shape))
)


def naive_distance(region):
    """Every pixel against every pixel of the region."""
    everywhere = np.argwhere(np.ones_like(region))
    inside = np.argwhere(region)
    if len(inside) == 0:
        return np.full(region.shape, np.inf)
    squared = ((everywhere[:, None] - inside[None]) ** 2).sum(-1)
    return np.sqrt(squared.min(1)).reshape(region.shape)


@given(REGIONS)
def test_distance_to_any_region_equals_brute_force(region):
    got = distance_to(torch.from_numpy(region)[None, None])[0, 0].numpy()
    np.testing.assert_allclose(got, naive_distance(region), rtol=1e-6)


@given(REGIONS)
def test_signed_distance_is_negative_inside_and_positive_outside(region):
    got = signed_distance(torch.from_numpy(region)[None, None])[0, 0].numpy()
    if region.all() or not region.any():
        assert not got.any()
        return
    np.testing.assert_allclose(got[~region], naive_distance(region)[~region], rtol=1e-6)
    np.testing.assert_allclose(got[region], 1 - naive_distance(~region)[region], rtol=1e-6)


@pytest.mark.parametrize("shape", [(2, 3, 6, 5), (2, 3, 4, 6, 5)])
def test_distance_to_images_and_classes_are_apart(shape):
    region = torch.rand(shape, generator=torch.Generator().manual_seed(0)) < 0.1
    together = distance_to(region)
    for n in range(2):
        for c in range(3):
            assert torch.equal(together[n, c], distance_to(region[n : n + 1, c : c + 1])[0, 0])
