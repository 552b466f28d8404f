"""Polygons as GeoJSON and as GeoPackage, each written without the code under test."""

import json
import sqlite3
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from rasterio.transform import from_origin

Feature = tuple[Any, Mapping[str, Any]]
WriteVector = Callable[..., Path]


def _geojson(path: Path, features: Sequence[Feature], crs: str | None = "EPSG:32616") -> Path:
    document: dict[str, Any] = {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "properties": dict(properties),
             "geometry": None if shape is None else json.loads(shapely.to_geojson(shape))}
            for shape, properties in features
        ],
    }  # fmt: skip
    if crs is not None:
        name = f"urn:ogc:def:crs:EPSG::{crs.removeprefix('EPSG:')}"
        document["crs"] = {"type": "name", "properties": {"name": name}}
    path = path.with_suffix(".geojson")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def _geopackage(path: Path, features: Sequence[Feature], crs: str | None = "EPSG:32616") -> Path:
    path = path.with_suffix(".gpkg")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    code = int((crs or "EPSG:4326").removeprefix("EPSG:"))
    fields = sorted({name for _, properties in features for name in properties})
    with sqlite3.connect(path) as database:
        database.executescript(
            "PRAGMA application_id = 0x47504B47; PRAGMA user_version = 10300;"
            "CREATE TABLE gpkg_contents (table_name TEXT, data_type TEXT);"
            "CREATE TABLE gpkg_geometry_columns (table_name TEXT, column_name TEXT, srs_id INTEGER);"
            "CREATE TABLE gpkg_spatial_ref_sys (srs_id INTEGER, organization TEXT,"
            " organization_coordsys_id INTEGER, definition TEXT);"
            "INSERT INTO gpkg_contents VALUES ('my layer', 'features');"
        )
        database.execute("INSERT INTO gpkg_geometry_columns VALUES ('my layer', 'geom', ?)", (code,))
        wkt = rasterio.CRS.from_epsg(code).to_wkt()
        database.execute("INSERT INTO gpkg_spatial_ref_sys VALUES (?, 'EPSG', ?, ?)", (code, code, wkt))
        columns = "".join(f', "{name}"' for name in fields)
        database.execute(f'CREATE TABLE "my layer" (fid INTEGER PRIMARY KEY, geom BLOB{columns})')
        for k, (shape, properties) in enumerate(features):
            values = [properties.get(name) for name in fields]
            marks = ", ?" * (2 + len(fields))
            database.execute(
                f'INSERT INTO "my layer" VALUES ({marks[2:]})', (k, _blob(shape, code, k), *values)
            )
    database.close()
    return path


def _blob(shape: Any, code: int, k: int) -> bytes | None:
    if shape is None:
        return None
    # Writers differ in whether they store an envelope.
    envelope = struct.pack("<4d", *(shape.bounds[i] for i in (0, 2, 1, 3))) if k % 2 else b""
    flags = 1 | (2 if envelope else 0)
    return b"GP\0" + bytes([flags]) + struct.pack("<i", code) + envelope + bytes(shapely.to_wkb(shape))


@pytest.fixture(params=[_geojson, _geopackage], ids=["GeoJSON", "GeoPackage"])
def write_vector(request: pytest.FixtureRequest) -> WriteVector:
    """The writer of each format; the path's ending is the format's."""
    writer: WriteVector = request.param
    return writer


@pytest.fixture
def save_scene() -> Callable[..., Path]:
    """Write a noise GeoTIFF; 10 m pixels from (500000, 4000000) in UTM 16 N unless said otherwise."""

    def save(path: Path, size: tuple[int, int], **options: Any) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        height, width = size
        profile = {
            "driver": "GTiff", "height": height, "width": width, "count": 1, "dtype": "uint8",
            "crs": "EPSG:32616", "transform": from_origin(500_000, 4_000_000, 10, 10),
        }  # fmt: skip
        with rasterio.open(path, "w", **profile | options) as file:
            file.write(np.random.default_rng(height).integers(1, 255, size, np.uint8), 1)
        return path

    return save
