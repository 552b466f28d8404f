"""COCO: one JSON file for many images, with polygons and compressed or uncompressed runs (RLE).

Pixels are those of pycocotools: the polygons of one object are united, so a hole needs runs, and polygons
across the border are cut. Where objects overlap, the one with fewer pixels is seen; crowds are ignored
pixels wherever no object is.
"""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from pycocotools import mask as runs

from unetpp.core.errors import InputError
from unetpp.data.annotations.annotation import Annotation, Entry, Rendered, Survey
from unetpp.data.annotations.boxed import boxed
from unetpp.data.images.header import Header, SampleError
from unetpp.data.sources.files import FileRef, location, read_file
from unetpp.data.sources.raster import Box, Raster

__all__ = ["recognises", "render", "survey"]

_FARTHEST_PX = 2**17


def recognises(data: bytes) -> bool:
    """See `registry`."""
    return all(key in data for key in (b'"images"', b'"annotations"', b'"categories"'))


def survey(files: Sequence[FileRef]) -> Survey:
    """See `registry`; one file holds every image of a folder."""
    if len(files) != 1:
        shown = ", ".join(ref.path for ref in files[:5])
        raise InputError(
            f"{files[0].root} holds {len(files)} COCO files ({shown}), each of many images; "
            "name one with --masks"
        )
    (file,) = files
    document = _parse(file)
    try:
        names = {entry["id"]: str(entry["name"]) for entry in sorted(document["categories"], key=_id_of)}
        objects: dict[Any, list[dict[str, Any]]] = {image["id"]: [] for image in document["images"]}
        for item in document["annotations"]:
            if item["image_id"] not in objects:
                raise InputError(
                    f"{location(file)}: annotation {item.get('id')} is of image {item['image_id']}, "
                    "which is not listed"
                )
            objects[item["image_id"]].append(_object(item, names))
        declared = tuple(dict.fromkeys(names.values()))
        entries = tuple(_entry(file, image, objects[image["id"]], declared) for image in document["images"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{location(file)} is no COCO file: {_said(error)}") from error
    _require_distinct(file, document["images"])
    return Survey(entries)


def render(
    annotation: Annotation, image: Raster, box: Box | None, labels: Collection[str] | None
) -> Rendered:
    """See `registry`."""
    content = json.loads(annotation.content)
    header = image.header
    _require_size(content, header)
    found = [item for item in content["objects"] if labels is None or item["label"] in {None, *labels}]
    encoded = [_encode(item["segmentation"], header) for item in found]
    order = sorted(range(len(found)), key=lambda k: (found[k]["label"] is not None, -_area(encoded[k])))
    objects = np.zeros((header.height, header.width), dtype=np.int32)
    for rank, k in enumerate(order, 1):
        if encoded[k] is not None:
            objects[runs.decode(encoded[k]) != 0] = rank
    return Rendered(boxed(objects, box), tuple(found[k]["label"] for k in order))


def _parse(file: FileRef) -> dict[str, Any]:
    try:
        document = json.loads(read_file(file))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{location(file)} is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise InputError(f"{location(file)} is no COCO file: it holds no object of images and annotations")
    return document


def _id_of(category: Mapping[str, Any]) -> int:
    return int(category["id"])


def _object(item: Mapping[str, Any], names: Mapping[int, str]) -> dict[str, Any]:
    if item["category_id"] not in names:
        raise ValueError(
            f"annotation {item.get('id')} has the category {item['category_id']}, which is not listed"
        )
    return {
        "label": None if item.get("iscrowd") else names[item["category_id"]],
        "segmentation": item.get("segmentation", []),
        "id": item.get("id"),
    }


def _entry(
    file: FileRef, image: Mapping[str, Any], objects: list[dict[str, Any]], declared: tuple[str, ...]
) -> Entry:
    size = {key: image[key] for key in ("height", "width") if image.get(key) is not None}
    content = json.dumps({**size, "objects": objects}).encode()
    labels = {item["label"] for item in objects}
    annotation = Annotation("COCO", file, content, frozenset(labels - {None}), declared, None in labels)
    return Entry(str(image["file_name"]), annotation)


def _require_distinct(file: FileRef, images: Sequence[Mapping[str, Any]]) -> None:
    for key in ("id", "file_name"):
        (value, count), *_ = Counter(image[key] for image in images).most_common(1) or [("", 0)]
        if count > 1:
            raise InputError(
                f"{location(file)} lists {count} images with the {key} {value!r}; make them distinct"
            )


def _require_size(content: Mapping[str, Any], header: Header) -> None:
    stated = content.get("height", header.height), content.get("width", header.width)
    if stated != (header.height, header.width):
        raise SampleError(
            f"the COCO file says {stated[0]}x{stated[1]}, the image has {header.height}x{header.width} "
            "pixels; export the annotations for this image, or remove its EXIF orientation if it is turned"
        )


def _encode(segmentation: Any, header: Header) -> dict[str, Any] | None:
    """Runs of an object on the image's grid; None of one without pixels."""
    height, width = header.height, header.width
    if isinstance(segmentation, dict):
        return _encode_runs(segmentation, height, width)
    if not isinstance(segmentation, list):
        raise SampleError(f"segmentation {segmentation!r:.60} is neither polygons nor runs")
    if not segmentation:
        raise SampleError("an object has a box but no segmentation; export polygons or runs")
    polygons = [_polygon(points) for points in segmentation]
    united: dict[str, Any] = runs.merge(runs.frPyObjects(polygons, height, width))
    return united


def _polygon(points: Any) -> list[float]:
    try:
        numbers = [float(value) for value in points]
    except (TypeError, ValueError) as error:
        raise SampleError(f"polygon {points!r:.60} is no list of numbers x, y, x, y") from error
    if len(numbers) < 6 or len(numbers) % 2:
        raise SampleError(f"polygon {points!r:.60} must be at least three points x, y, x, y")
    # pycocotools walks along each edge, however far beyond the image it leads.
    if not (np.abs(numbers) < _FARTHEST_PX).all():
        raise SampleError(f"polygon {points!r:.60} leads {_FARTHEST_PX} pixels away; correct its coordinates")
    return numbers


def _encode_runs(segmentation: Mapping[str, Any], height: int, width: int) -> dict[str, Any]:
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if size != [height, width]:
        raise SampleError(f"runs of size {size!r:.40} are not of the image's {height}x{width} pixels")
    if isinstance(counts, list):
        if (
            not all(isinstance(count, int) and count >= 0 for count in counts)
            or sum(counts) != height * width
        ):
            raise SampleError(f"runs must be whole numbers that add up to {height}x{width} pixels")
        encoded: dict[str, Any] = runs.frPyObjects({"size": size, "counts": counts}, height, width)
        return encoded
    if not isinstance(counts, str):
        raise SampleError("runs have no counts, as text or as numbers")
    if sum(_decode_counts(counts)) != height * width:
        raise SampleError(f"compressed runs do not add up to {height}x{width} pixels; they are damaged")
    return {"size": size, "counts": counts.encode()}


def _decode_counts(text: str) -> list[int]:
    """Run lengths in COCO's text; pycocotools reads beyond its buffers where they are damaged."""
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise SampleError("compressed runs hold a character that stands for none; they are damaged")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value |= -1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        if counts[-1] < 0:
            raise SampleError("compressed runs have a negative length; they are damaged")
        value = shift = 0
    if shift:
        raise SampleError("compressed runs end in the middle of a number; they are damaged")
    return counts


def _area(encoded: dict[str, Any] | None) -> int:
    return 0 if encoded is None else int(runs.area(encoded))


def _said(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)
