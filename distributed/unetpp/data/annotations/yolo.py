"""YOLO segmentation: one text file for each image, paired by stem; a line is `class x y x y x y ...`.

Coordinates are fractions of the image's width and height. A pixel is inside where its centre is, by the
even-odd rule; where objects overlap, the one with fewer pixels is seen. An empty file is an image without
objects. Class names come from data.yaml, dataset.yaml or classes.txt in the folder of the files or one of
the two above it.
"""

import json
import math
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import yaml

from unetpp.core.errors import InputError
from unetpp.data.annotations.annotation import Annotation, Entry, Rendered, Survey
from unetpp.data.annotations.boxed import boxed
from unetpp.data.annotations.polygons import fill_polygons
from unetpp.data.images.header import SampleError
from unetpp.data.sources.files import FileRef, location, read_file, source_storage
from unetpp.data.sources.raster import Box, Raster

__all__ = ["recognises", "render", "survey"]

_NAME_FILES = ("data.yaml", "data.yml", "dataset.yaml", "classes.txt")
_NO_OBJECTS = frozenset(
    {"classes.txt", "readme.txt", "readme.roboflow.txt", "readme.dataset.txt", "license.txt"}
)


def recognises(data: bytes) -> bool:
    """See `registry`."""
    try:
        lines = [line.split() for line in data.decode("ascii").splitlines() if line.strip()]
        return all(fields[0].isdecimal() and len(fields) >= 5 and _numbers(fields[1:]) for fields in lines)
    except ValueError:
        return False


def survey(files: Sequence[FileRef]) -> Survey:
    """See `registry`."""
    names = _class_names(files[0].root)
    with_objects = [file for file in files if file.path.rpartition("/")[2].lower() not in _NO_OBJECTS]
    found = Survey.of_files(with_objects, lambda file: _entry(file, names))
    by_number = sorted(found.labels, key=lambda name: int(name.removeprefix("class_"))) if not names else ()
    return found.declaring(names or tuple(by_number))


def render(
    annotation: Annotation, image: Raster, box: Box | None, labels: Collection[str] | None
) -> Rendered:
    """See `registry`."""
    height, width = image.header.height, image.header.width
    found = [item for item in json.loads(annotation.content) if labels is None or item[0] in labels]
    drawn = [
        fill_polygons([np.reshape(numbers, (-1, 2)) * (width, height)], height, width) for _, numbers in found
    ]
    order = sorted(range(len(found)), key=lambda k: -int(drawn[k].sum()))
    objects = np.zeros((height, width), dtype=np.int32)
    for rank, k in enumerate(order, 1):
        objects[drawn[k]] = rank
    return Rendered(boxed(objects, box), tuple(found[k][0] for k in order))


def _entry(file: FileRef, names: Sequence[str]) -> Entry:
    objects = _objects(read_file(file), names)
    labels = frozenset(label for label, _ in objects)
    return Entry(file.path, Annotation("YOLO", file, json.dumps(objects).encode(), labels), by_stem=True)


def _objects(data: bytes, names: Sequence[str]) -> list[tuple[str, list[float]]]:
    try:
        lines = data.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise SampleError(f"no text: {error}") from error
    return [_object(line.split(), number, names) for number, line in enumerate(lines, 1) if line.strip()]


def _object(fields: Sequence[str], number: int, names: Sequence[str]) -> tuple[str, list[float]]:
    try:
        index, numbers = int(fields[0]), _numbers(fields[1:])
    except ValueError as error:
        raise SampleError(f"line {number} is not `class x y x y ...`: {error}") from error
    if len(numbers) == 4:
        raise SampleError(
            f"line {number} is a box (YOLO detection), which has no outline; export the segmentation format"
        )
    if len(numbers) < 6 or len(numbers) % 2:
        raise SampleError(
            f"line {number} has {len(numbers)} coordinates; an outline has x and y of three points or more"
        )
    # A hand-drawn outline may lead a little across the border; pixels in place of fractions lead far.
    if min(numbers) < -1 or max(numbers) > 2:
        raise SampleError(
            f"line {number} reaches {max(numbers, key=abs):g}; coordinates are fractions of the image's sides"
        )
    if index < 0 or (names and index >= len(names)):
        raise SampleError(f"line {number} has class {index}; the file of class names has {len(names)}")
    return (names[index] if names else f"class_{index}"), numbers


def _numbers(fields: Sequence[str]) -> list[float]:
    numbers = [float(field) for field in fields]
    if not all(map(math.isfinite, numbers)):
        raise ValueError("coordinates must be finite")
    return numbers


def _class_names(root: str) -> tuple[str, ...]:
    folder = source_storage(root).uri.rstrip("/")
    for _ in range(3):
        for name in _NAME_FILES:
            if source_storage(folder).exists(name):
                ref = FileRef(folder, name)
                return _parse_names(ref, read_file(ref))
        above = folder.rpartition("/")[0]
        if not above or above.endswith("/"):
            break
        folder = above
    return ()


def _parse_names(ref: FileRef, data: bytes) -> tuple[str, ...]:
    try:
        text = data.decode("utf-8")
        if ref.path.endswith(".txt"):
            return tuple(line.strip() for line in text.splitlines() if line.strip())
        names: Any = yaml.safe_load(text)["names"]
        return tuple(str(names[k]) for k in (range(len(names)) if isinstance(names, list) else _dense(names)))
    except (ValueError, TypeError, KeyError, yaml.YAMLError) as error:
        raise InputError(f"{location(ref)} holds no class names: {error}; write `names: [a, b]`") from error


def _dense(names: dict[int, Any]) -> range:
    if set(names) != set(range(len(names))):
        raise ValueError(f"its names are numbered {sorted(names)}, not from 0 without a gap")
    return range(len(names))
