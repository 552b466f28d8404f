"""A CSV of a picture's objects: one line each, in pixels and in the picture's unit of length."""

import csv
import io
from typing import Any

import numpy as np
from scipy import ndimage

from unetpp.core.manifest import Manifest
from unetpp.data.sources.raster import Space
from unetpp.inference.objects.find import Objects

__all__ = ["objects_csv"]


def objects_csv(objects: Objects, manifest: Manifest, space: Space) -> bytes:
    """Columns id, class, score, area, centroid and box; centroid and box from the upper left corner.

    The centre of the upper left pixel is at 0.5, 0.5. Columns in a unit are there where the picture says how
    large its pixels are.
    """
    boxes = ndimage.find_objects(objects.ids)
    rows = [_row(objects, index, box, manifest, space) for index, box in enumerate(boxes, 1)]
    text = io.StringIO()
    writer = csv.DictWriter(text, _columns(space), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _columns(space: Space) -> list[str]:
    names = ["id", "class", "score", "area_px", "centroid_y_px", "centroid_x_px"]
    names += ["top_px", "left_px", "height_px", "width_px"]
    unit = _unit(space)
    return names + ([f"area_{unit}2", f"centroid_y_{unit}", f"centroid_x_{unit}"] if unit else [])


def _unit(space: Space) -> str:
    return space.unit if space.unit and len(space.spacing) == 2 else ""


def _row(
    objects: Objects, index: int, box: tuple[slice, slice], manifest: Manifest, space: Space
) -> dict[str, Any]:
    rows, columns = box
    y, x = np.nonzero(objects.ids[rows, columns] == index)
    centre_y, centre_x = float(y.mean()) + rows.start + 0.5, float(x.mean()) + columns.start + 0.5
    found: dict[str, Any] = {
        "id": index,
        "class": manifest.classes[objects.classes[index - 1]].name,
        "score": f"{objects.scores[index - 1]:.4f}",
        "area_px": len(y),
        "centroid_y_px": f"{centre_y:.2f}",
        "centroid_x_px": f"{centre_x:.2f}",
        "top_px": rows.start,
        "left_px": columns.start,
        "height_px": rows.stop - rows.start,
        "width_px": columns.stop - columns.start,
    }
    if unit := _unit(space):
        height, width = space.spacing
        found |= {
            f"area_{unit}2": f"{len(y) * height * width:.6g}",
            f"centroid_y_{unit}": f"{centre_y * height:.6g}",
            f"centroid_x_{unit}": f"{centre_x * width:.6g}",
        }
    return found
