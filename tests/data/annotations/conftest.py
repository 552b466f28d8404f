"""Objects on an image in the form of each annotation format."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Outline = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Scene:
    """Images with outlines by class name, written as some format to a folder; what `--masks` then names."""

    write: Callable[[Path, Mapping[str, Sequence[tuple[str, Outline]]], tuple[int, int]], Path]


def _coco(folder: Path, images: Mapping[str, Sequence[tuple[str, Outline]]], size: tuple[int, int]) -> Path:
    names = sorted({label for objects in images.values() for label, _ in objects})
    document: dict[str, Any] = {
        "images": [
            {"id": i, "file_name": name, "height": size[0], "width": size[1]}
            for i, name in enumerate(images, 7)
        ],
        "categories": [{"id": 10 * (k + 1), "name": name} for k, name in enumerate(names)],
        "annotations": [
            {"id": 1, "image_id": i, "category_id": 10 * (names.index(label) + 1),
             "segmentation": [np.ravel(outline).tolist()], "iscrowd": 0}
            for i, objects in enumerate(images.values(), 7)
            for label, outline in objects
        ],
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "instances.json").write_text(json.dumps(document))
    return folder / "instances.json"


def _labelme(
    folder: Path, images: Mapping[str, Sequence[tuple[str, Outline]]], size: tuple[int, int]
) -> Path:
    for name, objects in images.items():
        document = {
            "version": "5.5.0",
            "shapes": [
                {"label": label, "points": [list(p) for p in outline], "shape_type": "polygon"}
                for label, outline in objects
            ],
            "imagePath": name,
            "imageData": "QUJD",
            "imageHeight": size[0],
            "imageWidth": size[1],
        }
        path = (folder / name).with_suffix(".json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document))
    return folder


def _yolo(folder: Path, images: Mapping[str, Sequence[tuple[str, Outline]]], size: tuple[int, int]) -> Path:
    names = sorted({label for objects in images.values() for label, _ in objects})
    for name, objects in images.items():
        lines = [
            " ".join(
                map(str, [names.index(label), *(np.array(outline) / (size[1], size[0])).ravel().tolist()])
            )
            for label, outline in objects
        ]
        path = (folder / name).with_suffix(".txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines))
    (folder / "data.yaml").write_text(json.dumps({"names": names}))
    return folder


@pytest.fixture(params=[_coco, _labelme, _yolo], ids=["COCO", "LabelMe", "YOLO"])
def scene(request: pytest.FixtureRequest) -> Scene:
    """The writer of each format."""
    return Scene(request.param)


@pytest.fixture
def save_images() -> Callable[..., Path]:
    """Write noise images of a size into a folder."""

    def save(folder: Path, names: Sequence[str], size: tuple[int, int]) -> Path:
        for k, name in enumerate(names):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(k).integers(0, 255, (*size, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name)
        return folder

    return save
