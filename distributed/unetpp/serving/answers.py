"""A prediction as the body of an answer: PNG, runs or polygons.

Shapes: H height, W width.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from unetpp.core.errors import InputError
from unetpp.inference.colours import indexed_png
from unetpp.inference.objects.outlines import outlines_of
from unetpp.inference.objects.regions import class_regions
from unetpp.inference.prediction import Prediction

__all__ = ["check_form", "encode"]


def check_form(form: str) -> None:
    """Refuse what no answer has.

    Raises:
        InputError: there is no such form.
    """
    known = (_PNG, *_REGIONS)
    if form not in known:
        raise InputError(f"format={form} must be one of {', '.join(known)}")


def encode(prediction: Prediction, form: str) -> tuple[bytes, str]:
    """Body and media type.

    Args:
        prediction: of one image.
        form: one that `check_form` lets pass.
    """
    if form == _PNG:
        return indexed_png(prediction.mask, prediction.manifest), "image/png"
    height, width = prediction.mask.shape
    regions = class_regions(prediction.mask, prediction.manifest)
    found = [{"class": name, **_REGIONS[form](region)} for name, region in regions if region.any()]
    return json.dumps({"height": height, "width": width, "regions": found}).encode(), "application/json"


def _runs(region: NDArray[np.bool_]) -> dict[str, Any]:
    """COCO's uncompressed runs: lengths of alternating 0 and 1, column by column, beginning with 0."""
    flat = region.ravel(order="F")
    ends = np.flatnonzero(np.diff(flat, prepend=False))
    counts = np.diff(np.concatenate([[0], ends, [flat.size]]))
    return {"rle": {"size": list(region.shape), "counts": counts.tolist()}}


def _polygons(region: NDArray[np.bool_]) -> dict[str, Any]:
    """Each connected part as closed outlines of x and y in pixels: by the even-odd rule its pixels again."""
    parts, _ = ndimage.label(region)
    polygons = []
    for index, (rows, columns) in enumerate(ndimage.find_objects(parts), 1):
        corner = np.array([columns.start, rows.start])
        outlines = outlines_of(parts[rows, columns] == index)
        polygons.append([(outline + corner).tolist() for outline in outlines])
    return {"polygons": polygons}


_PNG = "png"
_REGIONS: Mapping[str, Callable[[NDArray[np.bool_]], dict[str, Any]]] = {"rle": _runs, "polygons": _polygons}
"""How JSON shows the pixels of a class."""
