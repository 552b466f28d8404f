"""What a vector file holds: polygons, their attributes, and the reference system of their coordinates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from unetpp.data.images.header import SampleError

__all__ = ["ONE_CLASS", "Layer", "Polygons", "polygons_of"]

ONE_CLASS = "foreground"
"""Class of every feature where no attribute tells it."""


@dataclass(frozen=True)
class Layer:
    """The features of a file, one geometry and its attributes each."""

    crs: str
    """As WKT; empty where coordinates are those of whatever image they are drawn on."""
    geometries: Sequence[Any]
    """Of shapely; None for a feature without one."""
    attributes: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Polygons:
    """Simple polygons with the class of each, in an order in which later ones are seen."""

    crs: str
    shapes: NDArray[np.object_]
    labels: tuple[str | None, ...]
    """None where pixels never count."""
    tree: shapely.STRtree
    without_area: int
    """Features that are lines or points."""


def polygons_of(layer: Layer, class_field: str | None) -> Polygons:
    """The polygons of a layer; those with less area come last, those without a class first.

    Raises:
        SampleError: no attribute has the field's name, or nothing but lines and points is there.
    """
    geometries = np.array(layer.geometries, dtype=object)
    there = [index for index, found in enumerate(geometries) if found is not None and not found.is_empty]
    labels = [_label(layer.attributes[index], class_field) for index in there]
    if class_field is not None:
        _require_field(layer, class_field)
    parts, owners = shapely.get_parts(shapely.force_2d(geometries[there]), return_index=True)
    # A collection may hold collections.
    while (nested := shapely.get_type_id(parts) > shapely.GeometryType.MULTILINESTRING).any():
        inner, places = shapely.get_parts(parts[nested], return_index=True)
        parts, owners = np.append(parts[~nested], inner), np.append(owners[~nested], owners[nested][places])
    is_polygon = shapely.get_type_id(parts) == shapely.GeometryType.POLYGON
    without_area = len(np.setdiff1d(owners, owners[is_polygon]))
    if without_area and not is_polygon.any():
        raise SampleError(
            f"its {without_area} features are lines or points, which have no area; buffer them into polygons"
        )
    parts, owners = parts[is_polygon], owners[is_polygon]
    order = sorted(
        range(len(parts)), key=lambda k: (labels[owners[k]] is not None, -float(shapely.area(parts[k])), k)
    )
    shapes = parts[order]
    found = tuple(labels[owners[k]] for k in order)
    return Polygons(layer.crs, shapes, found, shapely.STRtree(shapes), without_area)


def _label(attributes: Mapping[str, Any], class_field: str | None) -> str | None:
    if class_field is None:
        return ONE_CLASS
    value = attributes.get(class_field)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return None if value is None or value == "" else str(value)


def _require_field(layer: Layer, class_field: str) -> None:
    fields = sorted({name for attributes in layer.attributes for name in attributes})
    if layer.attributes and class_field not in fields:
        shown = ", ".join(fields[:20]) or "none"
        raise SampleError(f"no feature has a field {class_field!r}; its fields are: {shown}")
