"""Masks on other grids, against rasterio's own warping."""

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine, from_origin
from rasterio.warp import Resampling, reproject, transform_bounds

from unetpp.data.images.header import SampleError
from unetpp.data.sources.channels import open_channels
from unetpp.data.sources.masks import open_aligned
from unetpp.data.sources.raster import Box
from unetpp.data.sources.registry import open_image

IMAGE_SIZE = (60, 80)
GRIDS = {
    "coarser": from_origin(500_000, 4_000_000, 40, 40),
    "shifted": from_origin(499_987, 4_000_003, 10, 10),
    "finer": from_origin(499_990.37, 4_000_010.19, 3.0123, 3.0123),
    "south up": Affine(10, 0, 500_000, 0, 10, 3_999_400),
    "rotated": Affine.translation(500_400, 4_000_100) @ Affine.rotation(-35) @ Affine.scale(9, -9),
}


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("crs", ["EPSG:32616", "EPSG:4326"])
def test_mask_on_another_grid_is_warped_by_nearest(save_geo, name, crs):
    image = save_geo("image.tif", np.zeros((*IMAGE_SIZE, 1), np.uint8))
    values = np.random.default_rng(1).integers(0, 5, (300, 300, 1), np.uint8)
    transform = GRIDS[name]
    if crs == "EPSG:4326":
        # The same place in degrees: a grid around the image.
        west, south, east, north = transform_bounds("EPSG:32616", crs, 499_900, 3_999_300, 500_900, 4_000_100)
        scale = {"coarser": 90, "finer": 300}.get(name, 200)
        transform = from_origin(west, north, (east - west) / scale, (north - south) / scale)
    mask = save_geo("mask.tif", values, transform=transform, crs=crs)
    with open_image(image) as raster, open_aligned(mask, raster) as labels:
        found = labels.read()
        expected = np.full(IMAGE_SIZE, 99, np.uint8)
        reproject(
            values[..., 0], expected, src_transform=transform, src_crs=crs, init_dest_nodata=False,
            dst_transform=Affine(*raster.space.transform), dst_crs="EPSG:32616",
            resampling=Resampling.nearest, tolerance=0,
        )  # fmt: skip
        valid = np.ones(IMAGE_SIZE, np.bool_) if found.valid is None else found.valid
        np.testing.assert_array_equal(valid, expected != 99)
        np.testing.assert_array_equal(found.values[..., 0][valid], expected[valid])
        part = labels.read(Box(11, 40, 33, 25))
        np.testing.assert_array_equal(part.values, found.values[11:44, 40:65])
        assert labels.header.height == IMAGE_SIZE[0]


def test_mask_on_the_images_grid_is_read_as_it_is(save_geo):
    image = save_geo("image.tif", np.zeros((*IMAGE_SIZE, 1), np.uint8))
    mask = save_geo("mask.tif", np.ones((*IMAGE_SIZE, 1), np.uint8), compress="deflate")
    with open_image(image) as raster, open_aligned(mask, raster) as labels:
        assert labels.read().valid is None
        assert (
            labels.digest == type(labels)(mask, rasterio.open(f"{mask.root}/{mask.path}"), labels=True).digest
        )


def test_the_masks_nodata_stays_unknown_on_another_grid(save_geo):
    image = save_geo("image.tif", np.zeros((*IMAGE_SIZE, 1), np.uint8))
    values = np.ones((30, 40, 1), np.uint8)
    values[:10] = 255
    grid = from_origin(500_000, 4_000_000, 20, 20)
    mask = save_geo("mask.tif", values, transform=grid, nodata=255)
    with open_image(image) as raster, open_aligned(mask, raster) as labels:
        found = labels.read()
        assert found.valid is not None
        assert found.valid[:, 0].tolist() == [False] * 20 + [True] * 40
        assert set(np.unique(found.values)) == {0, 1}


def test_a_mask_of_another_place_is_refused(save_geo):
    image = save_geo("image.tif", np.zeros((*IMAGE_SIZE, 1), np.uint8))
    mask = save_geo(
        "mask.tif", np.ones((9, 9, 1), np.uint8), transform=from_origin(600_000, 4_000_000, 10, 10)
    )
    with (
        open_image(image) as raster,
        pytest.raises(SampleError, match="lies elsewhere on the Earth"),
        open_aligned(mask, raster),
    ):
        pass


def test_channel_files_of_different_places_are_refused(save_geo):
    first = save_geo("a_0000.tif", np.zeros((9, 9, 1), np.uint8))
    moved = save_geo("a_0001.tif", np.zeros((9, 9, 1), np.uint8), transform=from_origin(0, 0, 10, 10))
    with pytest.raises(SampleError, match="differ in transform"), open_channels([first, moved]):
        pass
    with open_channels([first, first]) as raster:
        assert raster.read(Box(1, 1, 2, 3)).values.shape == (2, 3, 2)
        assert raster.block_px == (9, 9)
