"""LabelMe: one JSON file for each image, beside it or in a folder of its own, paired by stem.

A pixel is inside a shape where its centre is. Shapes are drawn in the order of the file, as LabelMe does: the
later one is seen. Those labelled `__ignore__` are ignored pixels. The image inside the file (`imageData`) is
not read.
"""

import base64
import binascii
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetpp.data.annotations.annotation import Annotation, Entry, Rendered, Survey
from unetpp.data.annotations.boxed import boxed
from unetpp.data.annotations.polygons import fill_circle, fill_polygons
from unetpp.data.images.decode import read_mask
from unetpp.data.images.header import Header, SampleError
from unetpp.data.sources.files import FileRef, read_file
from unetpp.data.sources.raster import Box, Raster

__all__ = ["recognises", "render", "survey"]

_IGNORED = "__ignore__"


def recognises(data: bytes) -> bool:
    """See `registry`."""
    return b'"shapes"' in data and b'"imagePath"' in data


def survey(files: Sequence[FileRef]) -> Survey:
    """See `registry`; class names are in alphabetical order, as the files declare none."""
    found = Survey.of_files(files, lambda file: _entry(file, read_file(file)))
    return found.declaring(tuple(sorted(found.labels)))


def render(
    annotation: Annotation, image: Raster, box: Box | None, labels: Collection[str] | None
) -> Rendered:
    """See `registry`."""
    document, header = json.loads(annotation.content), image.header
    stated = tuple(document[key] or own for key, own in (("h", header.height), ("w", header.width)))
    if stated != (header.height, header.width):
        raise SampleError(
            f"the LabelMe file is of an image of {stated[0]}x{stated[1]} pixels, this one has "
            f"{header.height}x{header.width}; label this image, or remove its EXIF orientation if it is "
            "turned"
        )
    names = [None if label == _IGNORED else label for label, *_ in document["shapes"]]
    objects = np.zeros((header.height, header.width), dtype=np.int32)
    for rank, (label, (_, kind, points, mask)) in enumerate(zip(names, document["shapes"], strict=True), 1):
        if labels is None or label is None or label in labels:
            objects[_pixels(kind, points, mask, header)] = rank
    return Rendered(boxed(objects, box), tuple(names))


def _entry(file: FileRef, data: bytes) -> Entry:
    try:
        document = json.loads(data)
        shapes = [_shape(shape) for shape in document["shapes"]]
        content = {"h": document.get("imageHeight"), "w": document.get("imageWidth"), "shapes": shapes}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SampleError(f"no LabelMe file: {type(error).__name__} {error}") from error
    labels = {label for label, *_ in shapes}
    annotation = Annotation(
        "LabelMe",
        file,
        json.dumps(content).encode(),
        frozenset(labels - {_IGNORED}),
        has_ignored=_IGNORED in labels,
    )
    return Entry(file.path, annotation, by_stem=True)


def _shape(shape: Mapping[str, Any]) -> tuple[str, str, Any, Any]:
    return str(shape["label"]), str(shape.get("shape_type") or "polygon"), shape["points"], shape.get("mask")


def _pixels(kind: str, points: Any, mask: Any, header: Header) -> NDArray[np.bool_]:
    height, width = header.height, header.width
    try:
        corners = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    except (TypeError, ValueError) as error:
        raise SampleError(f"a {kind} has points {points!r:.60}, which are no pairs x, y") from error
    if not np.isfinite(corners).all():
        raise SampleError(f"a {kind} has points {points!r:.60}, which must be finite")
    if kind == "polygon" and len(corners) >= 3:
        return fill_polygons([corners], height, width)
    if kind == "rectangle" and len(corners) == 2:
        (x0, y0), (x1, y1) = corners
        return fill_polygons([[(x0, y0), (x1, y0), (x1, y1), (x0, y1)]], height, width)
    if kind == "circle" and len(corners) == 2:
        centre, rim = corners
        return fill_circle((centre[0], centre[1]), float(np.hypot(*(rim - centre))), height, width)
    if kind == "mask" and len(corners) == 2:
        return _pasted(mask, corners[0], height, width)
    raise SampleError(
        f"a shape of kind {kind!r} with {len(corners)} points has no area; "
        "use polygons, rectangles, circles or masks"
    )


def _pasted(text: Any, corner: NDArray[np.float64], height: int, width: int) -> NDArray[np.bool_]:
    """A small mask image, in base64, whose upper left pixel is at `corner`."""
    try:
        part = read_mask(base64.b64decode(text, validate=True)).values[:, :, 0] != 0
    except (binascii.Error, TypeError, ValueError) as error:
        raise SampleError(f"a mask shape holds no base64 text: {error}") from error
    left, top = np.rint(corner).astype(int)
    if not (0 <= top <= height - part.shape[0] and 0 <= left <= width - part.shape[1]):
        raise SampleError(f"a mask shape of {part.shape[0]}x{part.shape[1]} pixels leaves the image")
    whole = np.zeros((height, width), dtype=np.bool_)
    whole[top : top + part.shape[0], left : left + part.shape[1]] = part
    return whole
