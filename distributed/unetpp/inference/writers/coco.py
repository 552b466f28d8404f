"""COCO: one annotations.json for all images, an annotation for each object in compressed runs."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools import mask as runs
from scipy import ndimage

from unetpp.core.manifest import Manifest
from unetpp.core.storage import Storage
from unetpp.inference.objects.find import object_classes
from unetpp.inference.writers.registry import Segmented

__all__ = ["NEEDS_OBJECTS", "SUFFIX", "TOGETHER", "finish", "write"]

NEEDS_OBJECTS = True
SUFFIX = None
TOGETHER = ("annotations.json",)


def write(segmented: Segmented, target: Storage, name: str) -> dict[str, Any]:  # noqa: ARG001
    """One image and its objects."""
    objects, (height, width) = segmented.found(), segmented.mask.shape
    annotations = []
    for index, box in enumerate(ndimage.find_objects(objects.ids), 1):
        encoded = runs.encode(np.asfortranarray(objects.ids == index, dtype=np.uint8))
        rows, columns = box
        annotations.append(
            {
                "category_id": objects.classes[index - 1] + 1,
                "segmentation": {"size": [height, width], "counts": encoded["counts"].decode()},
                "area": int(runs.area(encoded)),
                "bbox": [columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start],
                "iscrowd": 0,
                "score": round(objects.scores[index - 1], 4),
            }
        )
    image = {"file_name": segmented.files[0].path, "height": height, "width": width}
    return {"image": image, "annotations": annotations}


def finish(records: Sequence[dict[str, Any]], target: Storage, manifest: Manifest) -> None:
    """Write the file; categories are numbered from 1, as COCO does."""
    images = [entry["image"] | {"id": number} for number, entry in enumerate(records, 1)]
    annotations = [
        annotation | {"image_id": number}
        for number, entry in enumerate(records, 1)
        for annotation in entry["annotations"]
    ]
    document = {
        "images": images,
        "annotations": [annotation | {"id": number} for number, annotation in enumerate(annotations, 1)],
        "categories": [
            {"id": index + 1, "name": manifest.classes[index].name} for index in object_classes(manifest)
        ],
    }
    target.write(TOGETHER[0], json.dumps(document).encode())
