"""Images and masks brought to another spacing, and where their pixels then lie."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unetpp.data.images.header import Header, SampleError
from unetpp.data.sources.raster import Space
from unetpp.data.sources.spacing import grid_at, resample_image, resample_labels, space_at
from unetpp.data.sources.window import clip

VOLUME = Header(10, 20, 1, "float32", planes=8)
SPACE = Space(
    (3.0, 1.0, 0.5), "mm", ((0.0, 0.0, -0.5, 9.0), (0.0, -1.0, 0.0, 4.0), (3.0, 0.0, 0.0, 1.0), (0, 0, 0, 1))
)
SIZES = st.integers(1, 30)


@pytest.mark.parametrize(
    ("spacing_mm", "slicing", "grid"),
    [
        (None, None, (8, 10, 20)),
        ((3, 2, 2), None, (8, 5, 5)),
        ((2, 2), "axial", (8, 5, 5)),
        ((6, 1), "coronal", (4, 10, 10)),
        ((6, 2), "sagittal", (4, 5, 20)),
        ((1.5, 1, 0.5), "axial", (16, 10, 20)),
        ((1000, 1000, 1000), None, (1, 1, 1)),
    ],
)
def test_grid_covers_the_extent_along_the_axes_that_are_named(spacing_mm, slicing, grid):
    assert grid_at(VOLUME, SPACE, spacing_mm, slicing) == grid


def test_picture_takes_the_spacing_of_its_two_axes_in_its_own_unit():
    picture = Space((500.0, 250.0), "um")
    assert grid_at(Header(10, 20, 1, "uint8"), picture, (5, 1, 0.5), None) == (5, 10)


@pytest.mark.parametrize("space", [Space(), Space((0.5, 0.5), "metre")])
def test_image_without_millimetres_is_refused(space):
    with pytest.raises(SampleError, match="tells no spacing in millimetres"):
        grid_at(Header(10, 20, 1, "uint8"), space, (1, 1), None)


@given(SIZES, SIZES)
def test_resampled_ramp_lies_at_the_places_of_its_new_pixels(old, new):
    ramp = np.arange(old, dtype=np.float32)[:, None, None]
    found = resample_image(ramp, (new, 1))[:, 0, 0]
    space = space_at(Space((1.0, 1.0), "mm"), (old, 1), (new, 1))
    centres = (np.arange(new) + 0.5) * space.spacing[0] - 0.5
    inside = (centres >= space.spacing[0] / 2) & (centres <= old - 1 - space.spacing[0] / 2)
    np.testing.assert_allclose(found[inside], centres[inside], atol=0.51 if new < old else 1e-4)
    assert found.min() >= 0
    assert found.max() <= old - 1


@given(SIZES, SIZES, st.integers(0, 255))
def test_resampled_constant_stays_and_dtype_too(old, new, value):
    for dtype in (np.uint8, np.uint16, np.float32):
        found = resample_image(np.full((old, 3, 2), value, dtype), (new, 5))
        assert (found.dtype, found.shape) == (dtype, (new, 5, 2))
        np.testing.assert_allclose(found, value, rtol=1e-5)


@given(SIZES, SIZES)
def test_resampled_labels_invent_none_and_lead_back_where_the_grid_grew(old, new):
    labels = np.random.default_rng(old).integers(0, 5, (old, 4, 1)).astype(np.uint8)
    found = resample_labels(labels, (new, 4))
    assert set(np.unique(found)) <= set(np.unique(labels))
    if new >= 2 * old:
        np.testing.assert_array_equal(resample_labels(found, (old, 4)), labels)


def test_affine_of_another_grid_names_the_same_extent():
    space = space_at(SPACE, (8, 10, 20), (4, 5, 5))
    assert space.spacing == (6, 2, 2)
    for sizes, found in (((8, 10, 20), SPACE), ((4, 5, 5), space)):
        np.testing.assert_allclose(np.array(found.affine) @ [-0.5, -0.5, -0.5, 1], [9.25, 4.5, -0.5, 1])
        end = [size - 0.5 for size in sizes]
        np.testing.assert_allclose(np.array(found.affine) @ [*end, 1], [-0.75, -5.5, 23.5, 1])


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("float32", [-160, -160, 40, 240]),
        ("uint16", [0, 0, 40, 240]),
        ("uint8", [0, 0, 40, 240]),
    ],
)
def test_window_clips_to_its_ends_in_the_dtype_of_the_image(dtype, expected):
    values = np.array([-1000 if dtype == "float32" else 0, -160 if dtype == "float32" else 0, 40, 250], dtype)
    found = clip(values, (40.0, 400.0))
    assert found.dtype == dtype
    assert found.tolist() == expected
