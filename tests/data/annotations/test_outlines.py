"""Shapes of LabelMe and YOLO files: pixel centres, holes, borders, and what has no area."""

import base64
import io
import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.path import Path as Outline
from PIL import Image

from unetpp.core.errors import InputError
from unetpp.data.annotations import labelme, yolo
from unetpp.data.annotations.polygons import fill_polygons
from unetpp.data.annotations.registry import render
from unetpp.data.images.header import Header, SampleError
from unetpp.data.pack.discover import SourceFolder, discover
from unetpp.data.sources.files import FileRef
from unetpp.data.sources.raster import Space

HEIGHT, WIDTH = 20, 30


CANVAS = SimpleNamespace(header=Header(HEIGHT, WIDTH, 1, "uint8"), space=Space(), digest=b"")


def centres():
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    return np.stack([x.ravel(), y.ravel()], axis=1)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.floats(-9, 40), st.floats(-9, 30)), min_size=3, max_size=8))
def test_a_pixel_is_inside_where_a_ray_from_its_centre_crosses_the_outline_an_odd_number_of_times(points):
    points = np.round(np.array(points), 2) + np.array([0.0013, 0.0037])  # never through a centre
    inside = np.zeros(HEIGHT * WIDTH, bool)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        x, y = centres().T
        with np.errstate(divide="ignore", invalid="ignore"):
            inside ^= ((y0 > y) != (y1 > y)) & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    np.testing.assert_array_equal(fill_polygons([points], HEIGHT, WIDTH).ravel(), inside)


def test_an_outline_in_another_is_a_hole():
    outer = [(2, 2), (18, 2), (18, 18), (2, 18)]
    hole = [(6, 6), (10, 6), (10, 10), (6, 10)]
    found = fill_polygons([outer, hole], HEIGHT, WIDTH)
    expected = Outline(outer).contains_points(centres()) & ~Outline(hole).contains_points(centres())
    np.testing.assert_array_equal(found.ravel(), expected)


def labelled(folder, *shapes, **fields):
    document = {"shapes": list(shapes), "imagePath": "a.png", "imageHeight": HEIGHT, "imageWidth": WIDTH}
    (folder / "a.json").write_text(json.dumps(document | fields))
    found = labelme.survey([FileRef(str(folder), "a.json")])
    return found.entries[0].annotation


def test_labelme_shapes_are_drawn_in_the_order_of_the_file(tmp_path):
    bits = np.zeros((3, 4), np.uint8)
    bits[1, 2] = 255
    buffer = io.BytesIO()
    Image.fromarray(bits).save(buffer, "PNG")
    annotation = labelled(
        tmp_path,
        {"label": "a", "points": [[0, 0], [30, 0], [30, 20], [0, 20]]},
        {"label": "b", "points": [[28, 18], [20, 10]], "shape_type": "rectangle"},
        {"label": "c", "points": [[10, 10], [13, 10]], "shape_type": "circle"},
        {"label": "__ignore__", "points": [[0, 0], [5, 5]], "shape_type": "rectangle"},
        {
            "label": "b",
            "points": [[1, 1], [4, 3]],
            "shape_type": "mask",
            "mask": base64.b64encode(buffer.getvalue()).decode(),
        },
    )
    values = render(annotation, CANVAS).values({"a": 1, "b": 2, "c": 3}, 0, 255)
    expected = np.ones((HEIGHT, WIDTH), np.uint8)
    expected[10:18, 20:28] = 2
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    expected[np.hypot(x - 10, y - 10) < 3] = 3
    expected[:5, :5] = 255
    expected[2, 3] = 2
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ({"shape_type": "line", "points": [[0, 0], [5, 5]]}, "kind 'line' with 2 points has no area"),
        ({"shape_type": "point", "points": [[0, 0]]}, "has no area"),
        ({"shape_type": "polygon", "points": [[0, 0], [5, 5]]}, "has no area"),
        ({"shape_type": "polygon", "points": [[0], [5]]}, "has no area"),
        ({"shape_type": "polygon", "points": [[0, 1, 2], [5]]}, "no pairs x, y"),
        ({"shape_type": "polygon", "points": [[0, 1], [2, float("inf")], [3, 3]]}, "must be finite"),
        ({"shape_type": "mask", "points": [[0, 0], [5, 5]], "mask": "?"}, "no base64"),
    ],
)
def test_labelme_shapes_without_area_are_refused(tmp_path, shape, reason):
    with pytest.raises(SampleError, match=reason):
        render(labelled(tmp_path, {"label": "a"} | shape), CANVAS)


def test_labelme_file_of_an_image_of_another_size_is_refused(tmp_path):
    with pytest.raises(SampleError, match="an image of 30x20 pixels, this one has 20x30"):
        render(labelled(tmp_path, imageHeight=WIDTH, imageWidth=HEIGHT), CANVAS)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("0 0.5 0.5 0.2 0.2", r"is a box \(YOLO detection\)"),
        ("0 0.1 0.1 0.2 0.2 0.3", "has 5 coordinates"),
        ("0 10 10 20 10 20 20", "coordinates are fractions"),
        ("7 0.1 0.1 0.2 0.2 0.3 0.4", "has class 7; the file of class names has 2"),
        ("cat 0.1 0.1 0.2 0.2 0.3 0.4", "is not `class x y"),
        ("0 0.1 nan 0.2 0.2 0.3 0.4", "must be finite"),
    ],
)
def test_yolo_lines_that_are_no_outline_are_refused(tmp_path, line, reason):
    (tmp_path / "labels" / "train").mkdir(parents=True)
    (tmp_path / "data.yaml").write_text("names: {0: a, 1: b}")
    (tmp_path / "labels" / "train" / "x.txt").write_text(f"0 0 0 1 0 1 1\n{line}\n")
    found = yolo.survey([FileRef(str(tmp_path / "labels" / "train"), "x.txt")])
    assert not found.entries
    ((_, said),) = found.refused
    assert said.startswith("line 2 ")
    assert re.search(reason, said)


def test_labelme_files_beside_their_images_are_paired(tmp_path):
    for name in ("a", "b"):
        Image.fromarray(np.zeros((HEIGHT, WIDTH), np.uint8)).save(tmp_path / f"{name}.png")
        labelled(tmp_path, {"label": "x", "points": [[0, 0], [5, 5]], "shape_type": "rectangle"})
    (tmp_path / "a.json").rename(tmp_path / "b.json")
    labelled(tmp_path)
    pairs, rejections = discover([SourceFolder(str(tmp_path), str(tmp_path))])
    assert [(pair.sample_id, pair.mask.path) for pair in pairs] == [("a", "a.json"), ("b", "b.json")]
    assert not rejections


def test_names_of_yolo_classes_may_lie_two_folders_above_or_nowhere(tmp_path):
    (tmp_path / "labels" / "train").mkdir(parents=True)
    (tmp_path / "labels" / "train" / "x.txt").write_text("1 0 0 1 0 1 1\n")
    ref = FileRef(str(tmp_path / "labels" / "train"), "x.txt")
    assert yolo.survey([ref]).labels == {"class_1"}
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    found = yolo.survey([ref])
    assert (found.labels, found.entries[0].annotation.declared) == ({"dog"}, ("cat", "dog"))
    (tmp_path / "labels" / "data.yaml").write_text("names: [a")
    with pytest.raises(InputError, match="holds no class names"):
        yolo.survey([ref])
