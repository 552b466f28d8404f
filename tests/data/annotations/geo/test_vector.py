"""Vector files as masks, from the files to the packed pixels, against rasterio on the whole grid."""

import json
import logging

import numpy as np
import pytest
import rasterio.features
import shapely
import shapely.affinity
from hypothesis import given
from hypothesis import strategies as st
from rasterio.transform import Affine, from_origin
from rasterio.warp import transform_geom

from unetpp.core.errors import InputError
from unetpp.core.storage import open_storage
from unetpp.data.annotations.geo.layer import Layer, polygons_of
from unetpp.data.dataset.manifests import load_manifest
from unetpp.data.dataset.parquet import iter_samples
from unetpp.data.pack.discover import SourceFolder
from unetpp.data.pack.options import PackOptions
from unetpp.data.pack.pack import pack

SIZE = (70, 90)
ALL_TRAIN = PackOptions(val=0, test=0)
GRID = from_origin(500_000, 4_000_000, 10, 10)
WITH_HOLE = shapely.Polygon(
    [(500_100, 3_999_900), (500_400, 3_999_880), (500_380, 3_999_500), (500_090, 3_999_520)],
    [[(500_200, 3_999_800), (500_300, 3_999_800), (500_300, 3_999_700), (500_200, 3_999_700)]],
)
TWO_PARTS = shapely.MultiPolygon([shapely.box(500_505, 3_999_605, 500_655, 3_999_755),
                                  shapely.box(500_705, 3_999_355, 500_955, 3_999_455)])  # fmt: skip
SMALL = shapely.box(500_120, 3_999_600, 500_160, 3_999_640)
OUTSIDE = shapely.box(700_000, 3_999_600, 700_900, 3_999_640)


def packed(images, masks, out, options=ALL_TRAIN, class_field=None):
    result = pack([SourceFolder(str(images), str(masks), None, class_field)], str(out), options)
    storage = open_storage(str(out))
    manifest = load_manifest(storage)
    return result, {sample.sample_id: sample for sample in iter_samples(storage, manifest, "train")}


def drawn(*shapes, transform=GRID, size=SIZE):
    return rasterio.features.rasterize(
        [(shape, value) for value, shape in enumerate(shapes, 1)], out_shape=size, transform=transform
    )


def test_polygons_are_the_pixels_whose_centre_they_hold(tmp_path, write_vector, save_scene):
    images = save_scene(tmp_path / "images" / "a.tif", SIZE).parent
    masks = write_vector(tmp_path / "labels", [(WITH_HOLE, {}), (TWO_PARTS, {}), (None, {})])
    result, found = packed(images, masks, tmp_path / "out")
    np.testing.assert_array_equal(found["a"].mask, drawn(WITH_HOLE, TWO_PARTS) > 0)
    assert (result.manifest.task, [c.name for c in result.manifest.classes]) == ("binary", ["foreground"])
    assert result.rejections == ()


def test_tiles_hold_what_the_whole_holds_and_their_own_place(tmp_path, write_vector, save_scene):
    images = save_scene(tmp_path / "images" / "a.tif", SIZE).parent
    masks = write_vector(tmp_path / "labels", [(WITH_HOLE, {}), (TWO_PARTS, {})])
    _, found = packed(images, masks, tmp_path / "out", PackOptions(val=0, test=0, tile_px=32))
    expected = drawn(WITH_HOLE, TWO_PARTS) > 0
    assert len(found) == 9
    for sample in found.values():
        box = sample.tile
        rows, columns = slice(box.top, box.top + box.height), slice(box.left, box.left + box.width)
        np.testing.assert_array_equal(sample.mask, expected[rows, columns])
        assert Affine(*sample.space.transform) @ (0, 0) == GRID @ (box.left, box.top)


def test_polygons_in_another_reference_system_are_projected(tmp_path, write_vector, save_scene):
    images = save_scene(tmp_path / "images" / "a.tif", SIZE).parent
    # No edge goes through a pixel's centre, where rounding would decide.
    shapes = [shapely.affinity.translate(shape, 3.3, -2.7) for shape in (WITH_HOLE, TWO_PARTS)]
    in_degrees = [
        shapely.geometry.shape(transform_geom("EPSG:32616", "EPSG:4326", shape.__geo_interface__))
        for shape in shapes
    ]
    masks = write_vector(tmp_path / "labels", [(shape, {}) for shape in in_degrees], crs="EPSG:4326")
    _, found = packed(images, masks, tmp_path / "out")
    np.testing.assert_array_equal(found["a"].mask, drawn(*shapes) > 0)


TURNED = {
    "south up": Affine(10, 0, 500_000, 0, 10, 3_999_300),
    "rotated": Affine.translation(500_000, 4_000_000) @ Affine.rotation(-20) @ Affine.scale(10, -10),
}


@pytest.mark.parametrize("turned", TURNED)
def test_turned_images_have_their_polygons_turned(tmp_path, write_vector, save_scene, turned):
    transform = TURNED[turned]
    images = save_scene(tmp_path / "images" / "a.tif", SIZE, transform=transform).parent
    masks = write_vector(tmp_path / "labels", [(WITH_HOLE, {}), (TWO_PARTS, {})])
    _, found = packed(images, masks, tmp_path / "out")
    expected = drawn(WITH_HOLE, TWO_PARTS, transform=transform) > 0
    assert expected.any()
    np.testing.assert_array_equal(found["a"].mask, expected)


def test_an_attribute_becomes_classes_and_the_smaller_polygon_is_seen(
    tmp_path, write_vector, save_scene, caplog
):
    images = save_scene(tmp_path / "images" / "a.tif", SIZE).parent
    features = [(SMALL, {"kind": "shed"}), (WITH_HOLE, {"kind": "house"}), (TWO_PARTS, {"kind": None})]
    masks = write_vector(tmp_path / "labels", features)
    with caplog.at_level(logging.INFO):
        result, found = packed(images, masks, tmp_path / "out", class_field="kind")
    assert [c.name for c in result.manifest.classes] == ["background", "house", "shed"]
    ordered = drawn(TWO_PARTS, WITH_HOLE, SMALL)
    np.testing.assert_array_equal(found["a"].mask, np.array([0, 255, 1, 2])[ordered])
    assert "2 polygons have no value of 'kind'" in caplog.text
    assert "2 values of 'kind' become classes: house, shed" in caplog.text


def test_numbers_become_classes_in_their_order(tmp_path, write_vector, save_scene):
    images = save_scene(tmp_path / "images" / "a.tif", SIZE).parent
    masks = write_vector(tmp_path / "labels", [(SMALL, {"code": 10}), (TWO_PARTS, {"code": 9})])
    result, _ = packed(images, masks, tmp_path / "out", class_field="code")
    assert [c.name for c in result.manifest.classes] == ["background", "9", "10"]


def test_one_file_is_of_every_image_and_features_elsewhere_leave_background(
    tmp_path, write_vector, save_scene
):
    far = from_origin(510_000, 4_000_000, 10, 10)
    images = save_scene(tmp_path / "images" / "a.tif", SIZE).parent
    save_scene(images / "b.tif", SIZE, transform=far)
    masks = write_vector(tmp_path / "labels", [(SMALL, {}), (OUTSIDE, {})])
    _, found = packed(images, masks, tmp_path / "out")
    assert found["a"].mask.any()
    assert not found["b"].mask.any()


def test_files_of_a_folder_pair_by_stem(tmp_path, write_vector, save_scene):
    images = save_scene(tmp_path / "images" / "a.tif", SIZE).parent
    save_scene(images / "b.tif", SIZE)
    write_vector(tmp_path / "masks" / "a", [(SMALL, {})])
    write_vector(tmp_path / "masks" / "b", [(WITH_HOLE, {})])
    _, found = packed(images, tmp_path / "masks", tmp_path / "out")
    np.testing.assert_array_equal(found["a"].mask, drawn(SMALL))
    np.testing.assert_array_equal(found["b"].mask, drawn(WITH_HOLE))


def test_no_overlap_anywhere_is_refused(tmp_path, write_vector, save_scene):
    images = save_scene(tmp_path / "images" / "a.tif", SIZE).parent
    masks = write_vector(tmp_path / "labels", [(OUTSIDE, {})])
    with pytest.raises(InputError, match="lies on any of the 1 images"):
        packed(images, masks, tmp_path / "out")


@pytest.mark.parametrize(
    ("features", "field", "words"),
    [
        ([(SMALL, {"kind": "a"})], "colour", "no feature has a field 'colour'; its fields are: .*kind"),
        ([(shapely.LineString([(0, 0), (1, 1)]), {})], None, "are lines or points"),
    ],
)
def test_what_cannot_be_masks_is_refused(tmp_path, write_vector, save_scene, features, field, words):
    images = save_scene(tmp_path / "images" / "a.tif", SIZE).parent
    masks = write_vector(tmp_path / "labels", features)
    with pytest.raises(InputError, match=words):
        packed(images, masks, tmp_path / "out", class_field=field)


@pytest.mark.slow
def test_damaged_files_raise_user_errors_only(tmp_path, write_vector, save_scene):
    images = save_scene(tmp_path / "images" / "a.tif", SIZE).parent
    good = write_vector(tmp_path / "labels", [(WITH_HOLE, {"kind": "a"}), (SMALL, {"kind": "b"})])
    data, random = good.read_bytes(), np.random.default_rng(0)
    refused = 0
    for k in range(40):
        broken = bytearray(data)
        for _ in range(3):
            broken[random.integers(100, len(broken))] = random.integers(32, 127)
        good.write_bytes(bytes(broken))
        try:
            packed(images, good, tmp_path / "out" / str(k), class_field="kind")
        except InputError:
            refused += 1
    assert refused > 0


def test_an_image_without_a_place_is_refused(tmp_path, write_vector, save_scene):
    images = save_scene(tmp_path / "images" / "a.tif", SIZE, crs=None, transform=Affine.identity()).parent
    masks = write_vector(tmp_path / "labels", [(SMALL, {})])
    with pytest.raises(InputError, match="says where it lies"):
        packed(images, masks, tmp_path / "out")


def test_coordinates_that_are_no_degrees_are_the_images(tmp_path, save_scene, caplog):
    images = save_scene(tmp_path / "images" / "a.tif", SIZE).parent
    feature = {"type": "Feature", "properties": None, "geometry": json.loads(shapely.to_geojson(SMALL))}
    document = {"type": "FeatureCollection", "features": [feature]}
    (tmp_path / "labels.json").write_text(json.dumps(document))
    _, found = packed(images, tmp_path / "labels.json", tmp_path / "out")
    np.testing.assert_array_equal(found["a"].mask, drawn(SMALL))
    assert "taken for those of the images" in caplog.text


def test_class_field_of_masks_without_attributes_is_refused(tmp_path, save_scene):
    images = save_scene(tmp_path / "images" / "a.tif", SIZE).parent
    masks = save_scene(tmp_path / "masks" / "a.tif", SIZE).parent
    with pytest.raises(InputError, match="--class-field kind needs GeoJSON or GeoPackage"):
        packed(images, masks, tmp_path / "out", class_field="kind")


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(1, 30)), min_size=1, max_size=6)
)
def test_collections_are_their_polygons(squares):
    boxes = [shapely.box(x, y, x + side, y + side) for x, y, side in squares]
    nested = shapely.GeometryCollection([shapely.GeometryCollection(boxes), shapely.Point(0, 0)])
    polygons = polygons_of(Layer("", [nested], [{}]), None)
    assert sorted(p.wkt for p in polygons.shapes) == sorted(p.wkt for p in boxes)
    areas = [p.area for p in polygons.shapes]
    assert areas == sorted(areas, reverse=True)
