"""Polygons to pixels: a pixel is inside where its centre is.

Vertices are taken into the image's reference system and joined by straight lines there. Of polygons that
overlap, the one with less area is seen. What lies beyond the image is cut off.
"""

import json
from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Any

import numpy as np
import rasterio.features
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import Affine
from rasterio.warp import transform as reproject

from unetpp.data.annotations.annotation import Annotation, Rendered
from unetpp.data.annotations.geo.layer import Layer, Polygons, polygons_of
from unetpp.data.images.header import SampleError
from unetpp.data.sources.files import FileRef, content_digest
from unetpp.data.sources.geo.align import pixel_centres
from unetpp.data.sources.raster import Box, Raster, Space

__all__ = ["Reader", "draw", "load", "reference_of"]

Reader = Callable[[FileRef], Layer]


def reference_of(file: FileRef, class_field: str | None) -> bytes:
    """What an annotation keeps of a file that is read again when its features are drawn."""
    return json.dumps({"sha256": content_digest(file).hex(), "class_field": class_field}).encode()


@lru_cache(maxsize=8)
def load(read: Reader, file: FileRef, reference: bytes) -> Polygons:
    """The polygons of a file in the state that `reference_of` was given of.

    Raises:
        SampleError: the file changed, or cannot be used.
        UnreadFileError: it is missing or refused.
    """
    kept = json.loads(reference)
    if content_digest(file).hex() != kept["sha256"]:
        raise SampleError("the file changed while it was packed; pack again")
    return polygons_of(read(file), kept["class_field"])


def draw(
    read: Reader, annotation: Annotation, image: Raster, box: Box | None, labels: Collection[str] | None
) -> Rendered:
    """See `registry.render`."""
    polygons = load(read, annotation.file, annotation.content)
    box = box or Box(0, 0, image.header.height, image.header.width)
    space = image.space
    if not space.transform or (polygons.crs and not space.crs):
        raise SampleError("polygons on the Earth need an image that says where it lies; save it as GeoTIFF")
    near = np.sort(polygons.tree.query(_outline(space, polygons.crs, box)))
    kept = [k for k in near if labels is None or polygons.labels[k] is None or polygons.labels[k] in labels]
    shapes = _projected(polygons.shapes[kept], polygons.crs, space.crs)
    objects = np.zeros((box.height, box.width), np.int32)
    if kept:
        rasterio.features.rasterize(
            ((shape, rank) for rank, shape in enumerate(shapes, 1)),
            out=objects,
            transform=Affine(*space.of_part(box.top, box.left).transform),
        )
    return Rendered(objects, tuple(polygons.labels[k] for k in kept))


def _outline(space: Space, crs: str, box: Box) -> Any:
    """A box in the polygons' system that holds the centre of every pixel, with a margin for curved lines."""
    x, y = pixel_centres(space, box, crs or space.crs, nodes_only=True)
    margin = max(np.ptp(x), np.ptp(y)) * 0.05
    return shapely.box(x.min() - margin, y.min() - margin, x.max() + margin, y.max() + margin)


def _projected(shapes: NDArray[np.object_], crs: str, target: str) -> NDArray[np.object_]:
    if not crs or crs == target or not len(shapes):
        return shapes
    source, destination = CRS.from_wkt(crs), CRS.from_wkt(target)

    def project(points: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = reproject(source, destination, points[:, 0], points[:, 1])
        return np.column_stack([x, y])

    projected = np.asarray(shapely.transform(shapes, project))
    if not np.isfinite(shapely.get_coordinates(projected)).all():
        raise SampleError("a polygon beside the image has no place in the image's reference system; cut it")
    return projected
