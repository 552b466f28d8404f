"""GeoPackage: an SQLite file with one layer of polygons."""

import sqlite3
from collections.abc import Collection, Sequence
from contextlib import closing
from typing import Any

import shapely
from rasterio.crs import CRS
from rasterio.errors import CRSError

from unetpp.data.annotations.annotation import Annotation, Rendered, Survey
from unetpp.data.annotations.geo.burn import draw
from unetpp.data.annotations.geo.layer import Layer
from unetpp.data.annotations.geo.survey import survey_files
from unetpp.data.images.header import SampleError
from unetpp.data.sources.files import FileRef, local_path
from unetpp.data.sources.raster import Box, Raster

__all__ = ["read", "recognises", "render", "survey"]

_SQLITE = b"SQLite format 3\0"
_APPLICATION_IDS = (b"GPKG", b"GP10", b"GP11")
_APPLICATION_ID_AT = 68
_HEADER_BYTES = 8
_ENVELOPE_BYTES = (0, 32, 48, 48, 64)
_IS_EMPTY, _ENVELOPE_SHIFT, _ENVELOPE_MASK = 0x10, 1, 0x07
"""Bits of a geometry's flags."""


def recognises(data: bytes) -> bool:
    """See `registry`."""
    application = data[_APPLICATION_ID_AT : _APPLICATION_ID_AT + 4]
    return data.startswith(_SQLITE) and application in _APPLICATION_IDS


def survey(files: Sequence[FileRef], class_field: str | None = None) -> Survey:
    """See `registry`."""
    return survey_files("GeoPackage", read, files, class_field)


def render(
    annotation: Annotation, image: Raster, box: Box | None, labels: Collection[str] | None
) -> Rendered:
    """See `registry`."""
    return draw(read, annotation, image, box, labels)


def read(file: FileRef) -> Layer:
    """The features of a file's only layer.

    Raises:
        SampleError: it is damaged, or has several layers.
    """
    try:
        with (
            local_path(file) as path,
            closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as database,
        ):
            database.row_factory = sqlite3.Row
            table, column, srs_id = _layer(database)
            rows = [dict(row) for row in database.execute(f"SELECT * FROM {_quoted(table)}")]
            crs = _crs(database, srs_id)
    except sqlite3.Error as error:
        raise SampleError(f"no readable GeoPackage: {error}") from error
    try:
        geometries = [_geometry(row.pop(column)) for row in rows]
    except (IndexError, KeyError, TypeError, shapely.errors.ShapelyError) as error:
        raise SampleError(f"a geometry is damaged: {error}") from error
    return Layer(crs, geometries, rows)


def _layer(database: sqlite3.Connection) -> tuple[str, str, int]:
    layers = database.execute(
        "SELECT g.table_name, g.column_name, g.srs_id FROM gpkg_geometry_columns AS g "
        "JOIN gpkg_contents AS c ON c.table_name = g.table_name WHERE c.data_type = 'features'"
    ).fetchall()
    if len(layers) != 1:
        names = ", ".join(str(layer["table_name"]) for layer in layers) or "none"
        raise SampleError(
            f"a file of masks has one layer, this one: {names}; save the layer of the masks alone"
        )
    (layer,) = layers
    return layer["table_name"], layer["column_name"], layer["srs_id"]


def _crs(database: sqlite3.Connection, srs_id: int) -> str:
    if srs_id in (-1, 0):
        raise SampleError("the layer has no reference system; set it in the program that made the file")
    system = database.execute(
        "SELECT organization, organization_coordsys_id, definition "
        "FROM gpkg_spatial_ref_sys WHERE srs_id = ?",
        (srs_id,),
    ).fetchone()
    if system is None:
        raise SampleError(f"the layer's reference system {srs_id} is not described in the file")
    try:
        crs = CRS.from_wkt(system["definition"])
    except CRSError as error:
        try:
            crs = CRS.from_user_input(f"{system['organization']}:{system['organization_coordsys_id']}")
        except CRSError:
            raise SampleError(f"the layer's reference system {srs_id} is unknown: {error}") from error
    return str(crs.to_wkt(version="WKT2_2019"))


def _geometry(blob: bytes | None) -> Any:
    """Of GeoPackage's binary form: a header, an optional envelope, then WKB."""
    if blob is None or blob[3] & _IS_EMPTY:
        return None
    envelope_bytes = _ENVELOPE_BYTES[blob[3] >> _ENVELOPE_SHIFT & _ENVELOPE_MASK]
    return shapely.from_wkb(blob[_HEADER_BYTES + envelope_bytes :])


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
