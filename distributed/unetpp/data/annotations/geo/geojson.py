"""GeoJSON: a FeatureCollection of polygons.

Coordinates are longitude and latitude (RFC 7946), or those of the member `crs` of earlier releases. Those
that can be neither are taken for those of the image, which is said.
"""

import json
import logging
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import shapely
from rasterio.crs import CRS
from rasterio.errors import CRSError

from unetpp.data.annotations.annotation import Annotation, Rendered, Survey
from unetpp.data.annotations.geo.burn import draw
from unetpp.data.annotations.geo.layer import Layer
from unetpp.data.annotations.geo.survey import survey_files
from unetpp.data.images.header import SampleError
from unetpp.data.sources.files import FileRef, location, read_file
from unetpp.data.sources.raster import Box, Raster

__all__ = ["read", "recognises", "render", "survey"]

logger = logging.getLogger(__name__)

_LONGITUDE_LATITUDE = "EPSG:4326"


def recognises(data: bytes) -> bool:
    """See `registry`."""
    return b'"FeatureCollection"' in data and b'"features"' in data


def survey(files: Sequence[FileRef], class_field: str | None = None) -> Survey:
    """See `registry`."""
    return survey_files("GeoJSON", read, files, class_field)


def render(
    annotation: Annotation, image: Raster, box: Box | None, labels: Collection[str] | None
) -> Rendered:
    """See `registry`."""
    return draw(read, annotation, image, box, labels)


def read(file: FileRef) -> Layer:
    """The features of a file.

    Raises:
        SampleError: it is damaged, or its reference system is unknown.
    """
    try:
        document = json.loads(read_file(file))
        features = [feature for feature in document["features"] if feature is not None]
        geometries = [_geometry(feature.get("geometry")) for feature in features]
        attributes = [dict(feature.get("properties") or {}) for feature in features]
        stated = document.get("crs")
        name = None if stated is None else str(stated["properties"]["name"])
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise SampleError(f"no readable GeoJSON: {error}") from error
    except shapely.errors.ShapelyError as error:
        raise SampleError(f"a geometry is damaged: {error}") from error
    return Layer(_crs(name, geometries, file), geometries, attributes)


def _geometry(value: Any) -> Any:
    return None if value is None else shapely.from_geojson(json.dumps(value))


def _crs(name: str | None, geometries: Sequence[Any], file: FileRef) -> str:
    if name is None:
        there = [geometry for geometry in geometries if geometry is not None]
        points = shapely.get_coordinates(np.array(there, dtype=object))
        if len(points) and (np.abs(points) > (180, 90)).any():
            logger.warning(
                "%s: coordinates are no longitudes and latitudes and no `crs` is named; "
                "they are taken for those of the images",
                location(file),
            )
            return ""
        name = _LONGITUDE_LATITUDE
    try:
        crs = CRS.from_user_input(_LONGITUDE_LATITUDE if name.endswith("CRS84") else name)
    except CRSError as error:
        raise SampleError(f"its reference system {name!r} is unknown: {error}") from error
    return str(crs.to_wkt(version="WKT2_2019"))
