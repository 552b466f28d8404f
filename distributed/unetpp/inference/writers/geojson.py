"""GeoJSON: a polygon for each connected area of a class, along the edges of its pixels.

Coordinates are those of the raster's reference system, named in the member `crs`. That can name only one with
an EPSG code; of another the polygons are longitude and latitude, as RFC 7946 has them, which is said.
"""

import json
import logging
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.features import shapes
from rasterio.transform import Affine
from rasterio.warp import transform as reproject
from shapely.geometry import mapping, shape

from unetpp.core.errors import InputError
from unetpp.core.storage import Storage
from unetpp.inference.objects.regions import class_regions
from unetpp.inference.writers.geotiff import PROBABILITIES_SUFFIX, write_probabilities
from unetpp.inference.writers.registry import Segmented

__all__ = ["PROBABILITIES_SUFFIX", "SUFFIX", "write", "write_probabilities"]

logger = logging.getLogger(__name__)

SUFFIX = ".geojson"
_LONGITUDE_LATITUDE = CRS.from_epsg(4326)
_STRAIGHT_PX = 64
"""Longest edge, in pixels, that is taken to another reference system as a straight line."""


def write(segmented: Segmented, target: Storage, name: str) -> None:
    """See `registry`; the mask is H W."""
    space = segmented.space
    if not space.transform:
        raise InputError(
            "polygons on the Earth need an image that says where it lies, this one does not; use --format png"
        )
    crs = CRS.from_wkt(space.crs) if space.crs else None
    code = None if crs is None else crs.to_epsg()
    member = (
        None if code is None else {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{code}"}}
    )
    place: Callable[[Any], Any] = lambda polygon: polygon  # noqa: E731
    if crs is not None and code is None:
        logger.info("%s: the reference system has no EPSG code; polygons are longitude and latitude", name)
        place = partial(_to_longitude_latitude, crs=crs, edge=_STRAIGHT_PX * min(space.spacing))
    with tempfile.TemporaryDirectory(prefix="unetpp-geojson-") as folder:
        path = Path(folder) / "polygons.geojson"
        with path.open("w", encoding="utf-8") as file:
            head = {"type": "FeatureCollection", **({} if member is None else {"crs": member})}
            file.write(json.dumps(head)[:-1] + ', "features": [')
            separator = "\n"
            for label, polygon in _polygons(segmented):
                feature = {
                    "type": "Feature",
                    "properties": {"class": label, **_area(polygon, crs)},
                    "geometry": mapping(place(polygon)),
                }
                file.write(separator + json.dumps(feature))
                separator = ",\n"
            file.write("\n]}\n")
        target.put(path, name)


def _polygons(segmented: Segmented) -> Iterator[tuple[str, Any]]:
    """Class and polygon, in the raster's reference system, of each area whose pixels touch along edges."""
    transform = Affine(*segmented.space.transform)
    for label, area in class_regions(segmented.mask, segmented.manifest):
        if segmented.valid is not None:
            area &= segmented.valid
        for outline, _ in shapes(area.view(np.uint8), mask=area, connectivity=4, transform=transform):
            yield label, shape(outline)


def _area(polygon: Any, crs: CRS | None) -> dict[str, float]:
    """In square metres; unknown where coordinates are angles."""
    if crs is None or not crs.is_projected:
        return {}
    return {"area_m2": round(float(polygon.area) * float(crs.linear_units_factor[1]) ** 2, 3)}


def _to_longitude_latitude(polygon: Any, *, crs: CRS, edge: float) -> Any:
    def project(points: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = reproject(crs, _LONGITUDE_LATITUDE, points[:, 0], points[:, 1])
        return np.column_stack([x, y])

    return shapely.transform(shapely.segmentize(polygon, edge), project)
