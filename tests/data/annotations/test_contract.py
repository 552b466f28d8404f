"""What every annotation format promises, from the files to the packed masks."""

import contextlib
import logging
from pathlib import Path

import numpy as np
import pytest

from unetpp.core.errors import InputError
from unetpp.core.storage import Storage
from unetpp.data.annotations.registry import ANNOTATIONS
from unetpp.data.dataset.manifests import load_manifest
from unetpp.data.dataset.parquet import iter_samples
from unetpp.data.pack.classes import ClassSpec
from unetpp.data.pack.discover import SourceFolder
from unetpp.data.pack.options import PackOptions
from unetpp.data.pack.pack import pack

SIZE = (40, 60)
ALL_TRAIN = PackOptions(val=0, test=0)
SQUARE = [(10, 5), (30, 5), (30, 25), (10, 25)]
INNER = [(15, 10), (20, 10), (20, 15), (15, 15)]
BEYOND = [(50, 30), (59.9, 30), (59.9, 39.9), (50, 39.9)]


def packed(images: Path, masks: Path, out: Path, options: PackOptions = ALL_TRAIN):
    result = pack([SourceFolder(str(images), str(masks))], str(out), options)
    storage = Storage(str(out))
    manifest = load_manifest(storage)
    return result, {s.sample_id: s.mask for s in iter_samples(storage, manifest, "train")}


def test_contract_covers_every_format(scene, request):
    assert {entry.name for entry in ANNOTATIONS} >= {request.node.callspec.id}


def test_one_class_is_a_binary_task_and_pixels_are_those_of_the_outline(tmp_path, scene, save_images):
    images = save_images(tmp_path / "images", ["a.png", "b.png"], SIZE)
    masks = scene.write(tmp_path / "masks", {"a.png": [("cell", SQUARE)], "b.png": []}, SIZE)
    result, found = packed(images, masks, tmp_path / "out")
    expected = np.zeros(SIZE, np.uint8)
    expected[5:25, 10:30] = 1
    np.testing.assert_array_equal(found["a"], expected)
    assert not found["b"].any()
    assert (result.manifest.task, [c.name for c in result.manifest.classes]) == ("binary", ["cell"])
    assert result.rejections == ()


def test_several_classes_have_the_background_first_and_the_inner_object_is_seen(tmp_path, scene, save_images):
    images = save_images(tmp_path / "images", ["s/a.png", "b.png"], SIZE)
    objects = {"s/a.png": [("car", SQUARE), ("door", INNER)], "b.png": [("tree", BEYOND)]}
    result, found = packed(images, scene.write(tmp_path / "masks", objects, SIZE), tmp_path / "out")
    assert [c.name for c in result.manifest.classes] == ["background", "car", "door", "tree"]
    assert (found["s/a"][7, 12], found["s/a"][12, 17], found["s/a"][0, 0]) == (1, 2, 0)
    assert set(np.unique(found["b"])) == {0, 3}


def test_a_classes_file_orders_the_classes_and_what_it_leaves_out_is_said(
    tmp_path, scene, save_images, caplog
):
    images = save_images(tmp_path / "images", ["a.png"], SIZE)
    masks = scene.write(tmp_path / "masks", {"a.png": [("car", SQUARE), ("tree", BEYOND)]}, SIZE)
    spec = ClassSpec.model_validate({"classes": ["background", "bus", "car"]})
    with caplog.at_level(logging.WARNING):
        _, found = packed(images, masks, tmp_path / "out", PackOptions(val=0, test=0, classes=spec))
    assert set(np.unique(found["a"])) == {0, 2}
    assert "become background: tree" in caplog.text
    for classes in (["car", "tree"], ["bus"]):
        spec = ClassSpec.model_validate({"classes": classes})
        with pytest.raises(InputError, match=r"put `background` before it|use the same names"):
            packed(images, masks, tmp_path / "no", PackOptions(val=0, test=0, classes=spec))


def test_overlapping_objects_of_a_multilabel_task_keep_every_label(tmp_path, scene, save_images):
    images = save_images(tmp_path / "images", ["a.png"], SIZE)
    masks = scene.write(tmp_path / "masks", {"a.png": [("car", SQUARE), ("door", INNER)]}, SIZE)
    spec = ClassSpec.model_validate({"classes": ["car", "door"], "task": "multilabel"})
    _, found = packed(images, masks, tmp_path / "out", PackOptions(val=0, test=0, classes=spec))
    assert (found["a"][7, 12], found["a"][12, 17], found["a"][0, 0]) == (1, 3, 0)


def test_images_without_annotation_and_annotations_without_image_are_told(tmp_path, scene, save_images):
    images = save_images(tmp_path / "images", ["a.png", "extra.png"], SIZE)
    masks = scene.write(
        tmp_path / "masks", {"a.png": [("cell", SQUARE)], "gone.png": [("cell", SQUARE)]}, SIZE
    )
    result, found = packed(images, masks, tmp_path / "out")
    assert list(found) == ["a"]
    reasons = {Path(r.file.replace("#", "/")).stem: r.reason for r in result.rejections}
    assert reasons == {"extra": "no annotation is of this image", "gone": "no image has this name"}


def test_bare_names_pair_unless_two_images_share_one(tmp_path, scene, save_images):
    images = save_images(tmp_path / "images", ["p/a.png", "p/b.png", "q/b.png"], SIZE)
    masks = scene.write(tmp_path / "masks", {"a.png": [("cell", SQUARE)], "b.png": [("cell", SQUARE)]}, SIZE)
    result, found = packed(images, masks, tmp_path / "out")
    assert list(found) == ["p/a"]
    assert sum("2 images and 1 annotations share the name" in r.reason for r in result.rejections) == 3


def test_the_same_files_give_the_same_bytes_and_a_changed_outline_others(tmp_path, scene, save_images):
    images = save_images(tmp_path / "images", ["a.png"], SIZE)
    masks = scene.write(tmp_path / "masks", {"a.png": [("cell", SQUARE)]}, SIZE)
    first, _ = packed(images, masks, tmp_path / "one")
    second, _ = packed(images, masks, tmp_path / "two")
    assert first.manifest.fingerprint == second.manifest.fingerprint
    assert first.manifest.splits == second.manifest.splits
    scene.write(tmp_path / "masks", {"a.png": [("cell", INNER)]}, SIZE)
    third, _ = packed(images, masks, tmp_path / "three")
    assert third.manifest.fingerprint != first.manifest.fingerprint


def test_damaged_files_raise_user_errors_only(tmp_path, scene, save_images):
    images = save_images(tmp_path / "images", ["a.png"], SIZE)
    masks = scene.write(tmp_path / "masks", {"a.png": [("cell", SQUARE), ("car", INNER)]}, SIZE)
    file = masks if masks.is_file() else next(p for p in masks.rglob("a.*"))
    good = file.read_bytes()
    random = np.random.default_rng(3)
    for attempt in range(60):
        data = bytearray(good)
        for _ in range(random.integers(1, 4)):
            data[random.integers(len(data))] = random.choice(list(b'0123456789[]{}",:-.eax\xff'))
        file.write_bytes(bytes(data[: random.integers(1, len(data))] if attempt % 5 == 0 else data))
        with contextlib.suppress(InputError):
            packed(images, masks, tmp_path / "out" / str(attempt))
