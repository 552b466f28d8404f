"""COCO as pycocotools reads it: runs, crowds, holes, borders, and what it must refuse."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as runs

from unetpp.core.errors import InputError
from unetpp.data.annotations.coco import survey
from unetpp.data.annotations.registry import render
from unetpp.data.images.header import Header, SampleError
from unetpp.data.sources.files import FileRef
from unetpp.data.sources.raster import Box, Space

HEIGHT, WIDTH = 24, 37
CATEGORIES = [{"id": 90, "name": "far"}, {"id": 3, "name": "near"}]


CANVAS = SimpleNamespace(header=Header(HEIGHT, WIDTH, 3, "uint8"), space=Space(), digest=b"")


def read(folder, annotations, categories=CATEGORIES, **image):
    listed = {"id": 1, "file_name": "a.png", "height": HEIGHT, "width": WIDTH} | image
    document = {
        "images": [listed],
        "categories": categories,
        "annotations": [{"id": k, "image_id": 1} | item for k, item in enumerate(annotations)],
    }
    (folder / "coco.json").write_text(json.dumps(document))
    return survey([FileRef(str(folder), "coco.json")]).entries[0].annotation


def rle(mask, *, compressed):
    encoded = runs.encode(np.asfortranarray(mask.astype(np.uint8)))
    if compressed:
        return {"size": encoded["size"], "counts": encoded["counts"].decode()}
    flat = mask.astype(np.int8).ravel(order="F")
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat])))
    return {"size": [HEIGHT, WIDTH], "counts": np.diff([0, *edges, flat.size]).tolist()}


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("density", [0.0, 0.03, 0.5, 1.0])
def test_runs_are_read_exactly(tmp_path, compressed, density):
    mask = np.random.default_rng(1).random((HEIGHT, WIDTH)) < density
    found = render(
        read(tmp_path, [{"category_id": 3, "segmentation": rle(mask, compressed=compressed)}]), CANVAS
    )
    np.testing.assert_array_equal(found.objects > 0, mask)
    assert found.labels == ("near",)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.floats(-20, 60), st.floats(-20, 40)), min_size=3, max_size=7),
        min_size=1,
        max_size=3,
    )
)
def test_polygons_are_those_of_pycocotools_also_across_the_border(tmp_path_factory, polygons):
    flat = [np.round(np.ravel(points), 2).tolist() for points in polygons]
    expected = runs.decode(runs.merge(runs.frPyObjects(flat, HEIGHT, WIDTH)))
    folder = tmp_path_factory.mktemp("coco")
    found = render(read(folder, [{"category_id": 3, "segmentation": flat}]), CANVAS)
    np.testing.assert_array_equal(found.objects > 0, expected != 0)


def test_the_smaller_object_is_seen_crowds_lie_below_and_boxes_limit(tmp_path):
    large, small, crowd = (np.zeros((HEIGHT, WIDTH), bool) for _ in range(3))
    large[2:20, 2:30], small[5:9, 5:9], crowd[:, 20:] = True, True, True
    annotation = read(
        tmp_path,
        [
            {"category_id": 90, "segmentation": rle(small, compressed=True)},
            {"category_id": 3, "segmentation": rle(large, compressed=False), "iscrowd": 0},
            {"category_id": 3, "segmentation": rle(crowd, compressed=False), "iscrowd": 1},
        ],
    )
    assert (annotation.declared, annotation.labels, annotation.has_ignored) == (
        ("near", "far"),
        {"near", "far"},
        True,
    )
    values = render(annotation, CANVAS).values({"near": 1, "far": 2}, 0, 255)
    np.testing.assert_array_equal(values, np.where(small, 2, np.where(large, 1, np.where(crowd, 255, 0))))
    part = render(annotation, CANVAS, Box(4, 3, 6, 20)).values({"near": 1, "far": 2}, 0, 255)
    np.testing.assert_array_equal(part, values[4:10, 3:23])


@pytest.mark.parametrize(
    ("segmentation", "reason"),
    [
        ([], "a box but no segmentation"),
        ([[1, 2, 3, 4]], "at least three points"),
        ([[1, 2, 3, 4, 5, 6, 7]], "at least three points"),
        ([["a"] * 6], "no list of numbers"),
        ([[1e9, 2, 3, 4, 5, 6]], "pixels away"),
        ([[float("nan"), 2, 3, 4, 5, 6]], "pixels away"),
        ("text", "neither polygons nor runs"),
        ({"size": [WIDTH, HEIGHT], "counts": [HEIGHT * WIDTH]}, "are not of the image's"),
        ({"size": [HEIGHT, WIDTH], "counts": [5]}, "add up to"),
        ({"size": [HEIGHT, WIDTH], "counts": "0"}, "do not add up"),
        ({"size": [HEIGHT, WIDTH], "counts": "o"}, "in the middle of a number"),
        ({"size": [HEIGHT, WIDTH], "counts": "\x01"}, "stands for none"),
        ({"size": [HEIGHT, WIDTH]}, "have no counts"),
    ],
)
def test_a_segmentation_that_cannot_be_meant_is_refused(tmp_path, segmentation, reason):
    annotation = read(tmp_path, [{"category_id": 3, "segmentation": segmentation}])
    with pytest.raises(SampleError, match=reason):
        render(annotation, CANVAS)


def test_an_annotation_of_another_size_is_refused(tmp_path):
    with pytest.raises(SampleError, match="the COCO file says 37x24, the image has 24x37"):
        render(read(tmp_path, [], height=WIDTH, width=HEIGHT), CANVAS)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"categories": [{"id": 4, "name": "x"}]}, "category 3, which is not listed"),
        ({"categories": [{"name": "x"}]}, "'id' is missing"),
        ({"images": []}, "is of image 1, which is not listed"),
        ({"images": [{"id": 1, "file_name": "a"}, {"id": 1, "file_name": "b"}]}, "2 images with the id 1"),
        ({"images": [{"id": 1, "file_name": "a"}, {"id": 2, "file_name": "a"}]}, "with the file_name 'a'"),
        ({"annotations": 3}, "no COCO file"),
    ],
)
def test_a_document_with_loose_ends_is_refused(tmp_path, change, reason):
    document = {
        "images": [{"id": 1, "file_name": "a"}],
        "categories": CATEGORIES,
        "annotations": [{"id": 5, "image_id": 1, "category_id": 3, "segmentation": [[0, 0, 1, 0, 1, 1]]}],
    }
    (tmp_path / "c.json").write_text(json.dumps(document | change))
    with pytest.raises(InputError, match=reason):
        survey([FileRef(str(tmp_path), "c.json")])
