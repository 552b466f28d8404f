"""YOLO segmentation: a text file for each image, a line for each object, and data.yaml with the class names.

A line is one outline: holes are filled, and of an object in several parts the largest is kept.
"""

from collections.abc import Sequence

import numpy as np
import yaml
from scipy import ndimage

from unetpp.core.manifest import Manifest
from unetpp.core.storage import Storage
from unetpp.inference.objects.find import object_classes
from unetpp.inference.objects.outlines import outlines_of
from unetpp.inference.writers.registry import Segmented

__all__ = ["NEEDS_OBJECTS", "SUFFIX", "TOGETHER", "finish", "write"]

NEEDS_OBJECTS = True
SUFFIX = ".txt"
TOGETHER = ("data.yaml",)


def write(segmented: Segmented, target: Storage, name: str) -> None:
    """See `registry`."""
    objects, size = segmented.found(), segmented.mask.shape
    numbers = {index: k for k, index in enumerate(object_classes(segmented.manifest))}
    lines = []
    for index, (rows, columns) in enumerate(ndimage.find_objects(objects.ids), 1):
        outline = outlines_of(ndimage.binary_fill_holes(objects.ids[rows, columns] == index))[0]
        fractions = (outline + np.array([columns.start, rows.start])) / (size[1], size[0])
        coordinates = " ".join(f"{value:.7g}" for value in np.ravel(fractions))
        lines.append(f"{numbers[objects.classes[index - 1]]} {coordinates}\n")
    target.write(name, "".join(lines).encode())


def finish(records: Sequence[None], target: Storage, manifest: Manifest) -> None:  # noqa: ARG001
    """Write the class names."""
    names = {k: manifest.classes[index].name for k, index in enumerate(object_classes(manifest))}
    target.write(TOGETHER[0], yaml.safe_dump({"names": names}, sort_keys=False).encode())
