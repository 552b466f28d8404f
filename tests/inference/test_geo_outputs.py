"""Masks of georeferenced images: where their image lies, as rasterio sees them."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.features
import shapely
from rasterio.transform import Affine, from_origin
from rasterio.warp import transform_geom

from unetpp.core.errors import ExistsError, InputError
from unetpp.core.manifest import ChannelStats, Manifest
from unetpp.core.storage import open_storage
from unetpp.data.sources.files import FileRef
from unetpp.data.sources.raster import Space
from unetpp.inference.batch import PredictOptions, predict_paths
from unetpp.inference.colours import mask_palette
from unetpp.inference.writers import geojson, geotiff
from unetpp.inference.writers.registry import Segmented
from untrained_run import CLASSES

GRIDS = {
    "north up": from_origin(500_000, 4_000_000, 10, 10),
    "south up": Affine(10, 0, 500_000, 0, 10, 3_990_000),
    "rotated": Affine.translation(500_000, 4_000_000) @ Affine.rotation(30) @ Affine.scale(10, -20),
}
ALBERS = "+proj=aea +lat_0=23 +lon_0=-96 +lat_1=29.5 +lat_2=45.5 +x_0=0 +y_0=0 +datum=WGS84 +units=m +no_defs"


def manifest_of(task="binary") -> Manifest:
    return Manifest(
        version="00001", task=task, classes=CLASSES[task], ignore_index=None, channels=1, dtype="uint8",
        splits={}, channel_stats=(ChannelStats(mean=1, std=1, p01=0, p50=1, p99=2),), sizes={"8x8": 1},
        class_pixels=(1,), foreground_histogram=(1,), command="", versions={}, fingerprint="f",
    )  # fmt: skip


def blobs(size=(90, 70), values=2, seed=0):
    small = np.random.default_rng(seed).integers(0, values, (size[0] // 5, size[1] // 5), np.uint8)
    return np.kron(small, np.ones((5, 5), np.uint8))


def segmented(
    mask, *, task="binary", transform=GRIDS["north up"], crs="EPSG:32616", valid=None, chances=None
):
    wkt = rasterio.CRS.from_user_input(crs).to_wkt()
    space = Space(spacing=(10, 10), crs=wkt, transform=tuple(transform[:6]))
    return Segmented((FileRef("", "a.tif"),), space, mask, manifest_of(task), chances, valid)


@pytest.mark.parametrize("grid", GRIDS)
def test_geotiff_has_the_images_place_and_the_masks_values(tmp_path, grid):
    mask, valid = blobs(values=3), np.ones((90, 70), np.bool_)
    valid[:7] = False
    mask = np.where(valid, mask, np.uint8(255))
    found = segmented(mask, task="multiclass", transform=GRIDS[grid], valid=valid)
    geotiff.write(found, open_storage(str(tmp_path)), "a.tif")
    with rasterio.open(tmp_path / "a.tif") as file:
        np.testing.assert_array_equal(file.read(1), np.where(valid, mask, 255))
        assert file.transform.almost_equals(GRIDS[grid])
        assert (file.crs, file.nodata) == (rasterio.CRS.from_epsg(32616), 255)
        colours = mask_palette(found.manifest)
        assert [file.colormap(1)[k][:3] for k in range(3)] == [tuple(map(int, c)) for c in colours[:3]]
        assert file.tags(1)["CLASS_1"] == "road"


def test_geotiff_is_cloud_optimised_and_its_overviews_invent_no_class(tmp_path):
    mask = blobs((1500, 1300), values=3) * 2
    geotiff.write(segmented(mask, task="multiclass"), open_storage(str(tmp_path)), "a.tif")
    with rasterio.open(tmp_path / "a.tif") as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.nodata is None
        assert file.overviews(1) == [2, 4]
        for factor in (2, 4):
            small = file.read(1, out_shape=(1500 // factor, 1300 // factor))
            assert set(np.unique(small)) <= {0, 2, 4}


def test_geotiff_of_probabilities_is_within_half_a_level(tmp_path):
    chances = np.random.default_rng(0).integers(0, 256, (40, 30, 2), np.uint8)
    found = segmented(np.zeros((40, 30), np.uint8), task="multilabel", chances=chances)
    geotiff.write_probabilities(found, open_storage(str(tmp_path)), "p.tif")
    with rasterio.open(tmp_path / "p.tif") as file:
        assert file.descriptions == ("vessel", "lesion")
        assert file.scales == pytest.approx((1 / 255, 1 / 255))
        np.testing.assert_array_equal(file.read(), np.moveaxis(chances, -1, 0))


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_polygons_are_the_masks_pixels(tmp_path, task, grid):
    mask = blobs(values={"binary": 2, "multiclass": 3, "multilabel": 4}[task])
    valid = np.ones((90, 70), np.bool_)
    valid[:, :11] = False
    found = segmented(mask, task=task, transform=GRIDS[grid], valid=valid)
    geojson.write(found, open_storage(str(tmp_path)), "a.geojson")
    document = json.loads((tmp_path / "a.geojson").read_text())
    assert document["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::32616"
    assert "type" not in document["features"][0]["properties"]
    for index, entry in enumerate(found.manifest.classes):
        features = [f for f in document["features"] if f["properties"]["class"] == entry.name]
        shapes = [feature["geometry"] for feature in features]
        bits = {"binary": mask == 1, "multiclass": mask == index, "multilabel": mask >> index & 1 == 1}
        expected = bits[task]
        back = rasterio.features.rasterize(shapes, mask.shape, transform=GRIDS[grid])
        np.testing.assert_array_equal(back > 0, expected & valid)
        areas = [feature["properties"]["area_m2"] for feature in features]
        pixel = abs(GRIDS[grid].determinant)
        assert sum(areas) == pytest.approx((expected & valid).sum() * pixel, rel=1e-6)


def test_polygons_in_a_system_without_a_code_are_degrees_within_half_a_pixel(tmp_path):
    mask = np.zeros((400, 500), np.uint8)
    mask[3:390, 7:480] = 1
    grid = from_origin(-673_425, 2_130_165, 30, 30)
    geojson.write(segmented(mask, transform=grid, crs=ALBERS), open_storage(str(tmp_path)), "a.geojson")
    document = json.loads((tmp_path / "a.geojson").read_text())
    assert "crs" not in document
    (feature,) = document["features"]
    back = shapely.geometry.shape(transform_geom("EPSG:4326", ALBERS, feature["geometry"]))
    left, top = grid @ (7, 3)
    right, bottom = grid @ (480, 390)
    assert back.hausdorff_distance(shapely.box(left, bottom, right, top)) < 15


def test_an_empty_mask_is_a_collection_without_features(tmp_path):
    geojson.write(segmented(np.zeros((9, 9), np.uint8)), open_storage(str(tmp_path)), "a.geojson")
    assert json.loads((tmp_path / "a.geojson").read_text())["features"] == []


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """An RGB GeoTIFF with a collar of nodata 0, and a PNG."""
    folder = tmp_path / "scenes"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(1, 200, (3, 40, 56), np.uint8)
    pixels[:, :8] = 0
    profile = {
        "driver": "GTiff", "height": 40, "width": 56, "count": 3, "dtype": "uint8", "nodata": 0,
        "crs": "EPSG:32616", "transform": GRIDS["north up"],
    }  # fmt: skip
    with rasterio.open(folder / "a.tif", "w", **profile) as file:
        file.write(pixels)
    return folder


def test_predict_answers_a_geotiff_with_one_and_with_polygons(tmp_path, scenes, make_run):
    run, out = make_run("multiclass"), tmp_path / "out"
    result = predict_paths(run, str(scenes), str(out), PredictOptions(probabilities=True, overlay=True))
    assert result["predicted"] == 1
    with rasterio.open(out / "a.tif") as file:
        mask = file.read(1)
        assert file.transform.almost_equals(GRIDS["north up"])
    assert (mask[:8] == 255).all()
    with rasterio.open(out / "a_probabilities.tif") as file:
        chances = file.read()[:, 8:]
        chosen = np.take_along_axis(chances, mask[None, 8:].astype(int), axis=0)
        assert (chosen == chances.max(axis=0)).all()
    predict_paths(run, str(scenes), str(out), PredictOptions(format="geojson"))
    features = json.loads((out / "a.geojson").read_text())["features"]
    names = [entry.name for entry in CLASSES["multiclass"]]
    shapes = [(feature["geometry"], names.index(feature["properties"]["class"])) for feature in features]
    back = rasterio.features.rasterize(shapes, mask.shape, transform=GRIDS["north up"], fill=255)
    np.testing.assert_array_equal(back, mask)
    with pytest.raises(ExistsError):
        predict_paths(run, str(scenes), str(out), PredictOptions(format="geojson"))


def test_predict_png_of_a_geotiff_where_it_is_asked_for(tmp_path, scenes, make_run):
    options = PredictOptions(format="png", probabilities=True)
    result = predict_paths(make_run(), str(scenes), str(tmp_path / "out"), options)
    assert result["failed"] == []
    assert (tmp_path / "out" / "a.png").exists()
    with np.load(tmp_path / "out" / "a_probabilities.npz") as found:
        assert found["probabilities"].shape == (40, 56, 1)


def test_predict_in_a_form_that_cannot_be_is_refused(tmp_path, scenes, make_run):
    run = make_run()
    with pytest.raises(InputError, match=r"--format tga must be one of .*geojson"):
        predict_paths(run, str(scenes), str(tmp_path / "out"), PredictOptions(format="tga"))
    with rasterio.open(scenes / "a.tif", "r+") as file:
        pixels = file.read()
    from PIL import Image

    (scenes / "a.tif").unlink()
    Image.fromarray(np.moveaxis(pixels, 0, -1)).save(scenes / "b.png")
    with pytest.raises(InputError, match="says where"):
        predict_paths(run, str(scenes), str(tmp_path / "out"), PredictOptions(format="geotiff"))
