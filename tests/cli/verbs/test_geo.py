"""The commands of the satellite guide, from scenes and polygons to polygons."""

import json

import numpy as np
import pytest
import rasterio
import shapely
from rasterio.transform import from_origin

from unetpp.cli.main import run
from untrained_run import write_untrained_run

GRID = from_origin(500_000, 4_000_000, 0.5, 0.5)


@pytest.fixture
def scene(tmp_path):
    """A scene of 60 x 60 pixels, and polygons of two kinds on it."""
    (tmp_path / "scenes").mkdir()
    profile = {
        "driver": "GTiff", "height": 60, "width": 60, "count": 3, "dtype": "uint8", "crs": "EPSG:32616",
        "transform": GRID,
    }  # fmt: skip
    with rasterio.open(tmp_path / "scenes" / "a.tif", "w", **profile) as file:
        file.write(np.random.default_rng(0).integers(0, 255, (3, 60, 60), np.uint8))
    features = [
        {"type": "Feature", "properties": {"kind": kind}, "geometry": json.loads(shapely.to_geojson(shape))}
        for kind, shape in (
            ("house", shapely.box(500_002, 3_999_990, 500_009, 3_999_996)),
            ("road", shapely.box(500_012, 3_999_975, 500_015, 3_999_999)),
        )
    ]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32616"}}
    document = {"type": "FeatureCollection", "crs": crs, "features": features}
    (tmp_path / "labels.geojson").write_text(json.dumps(document))
    return tmp_path


def test_pack_of_polygons_prints_what_it_did_and_a_wrong_field_exits_with_2(scene, capsys):
    pack = ["data", "pack", "--images", f"{scene}/scenes", "--masks", f"{scene}/labels.geojson"]
    pack += ["--workers", "0", "--tile", "32", "--val", "0", "--test", "0"]
    assert run([*pack, "--out", f"{scene}/out", "--class-field", "kind", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["rows"] == 4
    assert run([*pack, "--out", f"{scene}/no", "--class-field", "sort"]) == 2
    assert "its fields are: kind" in capsys.readouterr().err


def test_predict_in_the_form_that_is_asked_for(scene, capsys):
    untrained = write_untrained_run(scene, "multiclass")
    command = ["predict", untrained, f"{scene}/scenes", "--out", f"{scene}/masks"]
    assert run(command) == 0
    with rasterio.open(scene / "masks" / "a.tif") as file:
        assert file.transform.almost_equals(GRID)
    assert run([*command, "--format", "geojson"]) == 0
    assert (scene / "masks" / "a.geojson").exists()
    assert run([*command, "--format", "tga"]) == 2
    assert "must be one of" in capsys.readouterr().err


@pytest.mark.s3
def test_scenes_and_polygons_in_a_bucket_give_what_folders_give(scene, s3_server, s3_env):
    from unetpp.core.storage import open_storage
    from unetpp.data.dataset.manifests import load_manifest

    bucket = open_storage(s3_server.new_bucket())
    for name in ("scenes/a.tif", "labels.geojson"):
        bucket.put(scene / name, name)
    fingerprints = []
    for root, out in ((bucket.uri, f"{bucket.uri}/out"), (scene, scene / "out")):
        pack = ["data", "pack", "--images", f"{root}/scenes", "--masks", f"{root}/labels.geojson"]
        pack += ["--tile", "32", "--val", "0", "--test", "0", "--class-field", "kind", "--workers", "0"]
        assert run([*pack, "--out", str(out)]) == 0
        fingerprints.append(load_manifest(open_storage(str(out))).fingerprint)
    assert fingerprints[0] == fingerprints[1]
    untrained = write_untrained_run(scene, "multiclass")
    assert run(["predict", untrained, f"{bucket.uri}/scenes", "--out", f"{bucket.uri}/masks"]) == 0
    assert "a.tif" in bucket.child("masks").list()
