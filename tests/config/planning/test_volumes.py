"""Patch and pooling of volumes."""

import math

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unetpp.config.planning.volumes import patch_of, pooling_of


def volumes(make_manifest, size, spacing):
    changes = {"spatial_dims": 3, "voxel_mm": spacing}
    return make_manifest(sizes={size: 3}).model_copy(update=changes)


def test_cubes_are_halved_along_every_axis():
    assert pooling_of((64, 64, 64), (1.0, 1.0, 1.0), 3) == ((2, 2, 2),) * 3


def test_thick_slices_are_pooled_once_rows_are_as_long():
    # As nnU-Net plans the prostate: 3.6 x 0.62 x 0.62 mm keeps the planes for two levels.
    assert pooling_of((20, 256, 256), (3.6, 0.62, 0.62), 4) == ((1, 2, 2), (1, 2, 2), (2, 2, 2), (2, 2, 2))


def test_few_planes_are_never_pooled_below_four():
    assert pooling_of((8, 64, 64), (1.0, 1.0, 1.0), 3) == ((2, 2, 2), (1, 2, 2), (1, 2, 2))


def test_patch_of_cubes_is_a_cube_and_of_thick_slices_covers_the_same_distance(make_manifest):
    cubes = volumes(make_manifest, "155x240x240", (1.0, 1.0, 1.0))
    assert patch_of(cubes) == (64, 64)
    thick = cubes.model_copy(update={"voxel_mm": (4.0, 1.0, 1.0)})
    planes, side = patch_of(thick)
    assert abs(planes * 4 - side) <= 4


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.tuples(*[st.integers(1, 400)] * 3),
    spacing=st.tuples(*[st.floats(0.1, 10)] * 3),
    depth=st.integers(1, 5),
)
def test_plan_of_any_volume_fits_it(make_manifest, shape, spacing, depth):
    manifest = volumes(make_manifest, "x".join(map(str, shape)), spacing)
    planes, side = patch_of(manifest)
    assert 1 <= planes <= shape[0]
    assert 1 <= side <= min(shape[1:])
    assert planes * side**2 <= 1.2 * 64**3 + 64**2
    pool = pooling_of((planes, side, side), spacing, depth)
    assert all(factors[1:] == (2, 2) for factors in pool)
    assert planes / math.prod(factors[0] for factors in pool) >= min(planes, 4)
