"""Object ids become inside and border, and are kept beside the mask."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import tifffile
from scipy import ndimage

from unetpp.core.errors import InputError
from unetpp.core.manifest import Instances
from unetpp.core.storage import Storage
from unetpp.data.dataset.manifests import load_manifest
from unetpp.data.dataset.parquet import iter_samples
from unetpp.data.dataset.repack import repack
from unetpp.data.dataset.verify import verify
from unetpp.data.images.header import SampleError
from unetpp.data.pack.classes import ClassSpec
from unetpp.data.pack.discover import SourceFolder
from unetpp.data.pack.masks.instances import border_of, whole_ids
from unetpp.data.pack.options import PackOptions
from unetpp.data.pack.pack import pack

BORDER = Instances(kind="border", border_px=1)


def random_ids(seed, size=(40, 50), count=12):
    """Discs that touch and cover one another, with gaps in their numbers."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    ids = np.zeros(size, np.int32)
    for k in range(count):
        centre = generator.integers(0, size)
        ids[np.hypot(y - centre[0], x - centre[1]) < generator.integers(1, 9)] = 3 + 7 * k
    return ids


def options(**changes):
    return PackOptions(**({"val": 0, "test": 0, "instances": BORDER} | changes))


def packed(folder, out, chosen):
    result = pack([folder], str(out), chosen)
    storage = Storage(str(out))
    return result, {s.sample_id: s for s in iter_samples(storage, load_manifest(storage), "train")}


def fill(folder, count=3, dtype=np.uint16):
    found = {}
    for k in range(count):
        found[f"i{k}"] = random_ids(k)
        tifffile.imwrite(Path(folder.images) / f"i{k}.tif", np.full((40, 50), k, np.uint8))
        tifffile.imwrite(Path(folder.masks) / f"i{k}.tif", found[f"i{k}"].astype(dtype))
    return found


@pytest.mark.parametrize("width_px", [1, 2, 3])
@pytest.mark.parametrize("seed", range(8))
def test_border_parts_all_objects_and_each_keeps_an_inside(seed, width_px):
    ids = random_ids(seed)
    border = border_of(ids, width_px)
    inside = (ids > 0) & ~border
    assert set(np.unique(ids[inside])) == set(np.unique(ids[ids > 0]))
    assert not border[ids == 0].any()
    regions, _ = ndimage.label(inside, np.ones((3, 3)))
    wide = [k for k in np.unique(ids[ids > 0]) if ndimage.binary_erosion(ids == k, np.ones((3, 3))).any()]
    of_wide = np.isin(ids, wide) & inside
    for region in np.unique(regions[of_wide]):
        assert len(np.intersect1d(ids[(regions == region) & of_wide], wide)) == 1
    for y, x in np.argwhere(border):
        window = ids[max(0, y - width_px) : y + width_px + 1, max(0, x - width_px) : x + width_px + 1]
        assert (window != ids[y, x]).any()


def test_the_edge_of_the_image_is_no_border():
    assert not border_of(np.full((6, 7), 5, np.int32), 2).any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.int32, np.float32])
def test_ids_of_any_type_are_packed_and_kept(tmp_path, folder, dtype):
    ids = fill(folder, dtype=dtype)
    if np.dtype(dtype).itemsize > 2:
        ids["i0"][ids["i0"] == 3] = 2**24 - 1
        tifffile.imwrite(Path(folder.masks) / "i0.tif", ids["i0"].astype(dtype))
    result, found = packed(folder, tmp_path / "out", options())
    assert [c.name for c in result.manifest.classes] == ["background", "object", "border"]
    assert result.manifest.instances == BORDER
    for name, truth in ids.items():
        np.testing.assert_array_equal(found[name].instances, truth)
        expected = np.where(border_of(truth, 1), 2, (truth > 0).astype(int))
        np.testing.assert_array_equal(found[name].mask, expected)
    assert not verify(Storage(str(tmp_path / "out"))).problems


def test_tiles_cut_and_resizing_keeps_ids(tmp_path, folder):
    ids = fill(folder, 1)["i0"]
    _, tiles = packed(folder, tmp_path / "tiles", options(tile_px=20))
    np.testing.assert_array_equal(tiles["i0@20x30"].instances, ids[20:40, 30:50])
    _, resized = packed(folder, tmp_path / "resized", options(size_px=32))
    assert set(np.unique(resized["i0"].instances)) <= set(np.unique(ids))
    assert (resized["i0"].mask > 0).sum() == (resized["i0"].instances > 0).sum()


def test_other_datasets_have_no_column_of_ids(tmp_path, cells):
    result, _ = packed(cells, tmp_path / "out", PackOptions(val=0, test=0))
    for shard in (tmp_path / "out" / "shards").iterdir():
        assert "instances" not in pq.read_schema(shard).names
    assert result.manifest.instances is None


def test_repacking_keeps_ids(tmp_path, folder):
    ids = fill(folder)
    packed(folder, tmp_path / "out", options())
    manifest = repack(Storage(str(tmp_path / "out")), Storage(str(tmp_path / "again")))
    again = {s.sample_id: s for s in iter_samples(Storage(str(tmp_path / "again")), manifest, "train")}
    for name, truth in ids.items():
        np.testing.assert_array_equal(again[name].instances, truth)


def test_a_binary_mask_is_not_taken_for_one_object(tmp_path, folder):
    binary = np.zeros((40, 50), np.uint8)
    binary[2:10, 2:10] = binary[20:30, 20:30] = 255
    tifffile.imwrite(Path(folder.images) / "a.tif", binary)
    tifffile.imwrite(Path(folder.masks) / "a.tif", binary)
    with pytest.raises(InputError, match="2 separate regions"):
        pack([folder], str(tmp_path / "out"), options())


def test_fractions_and_negative_numbers_are_no_ids():
    for values in ([0.5, 1], [-1, 1]):
        with pytest.raises(SampleError, match="whole numbers"):
            whole_ids(np.array([values], np.float32))


def test_ids_that_a_float_may_have_rounded_are_refused():
    assert whole_ids(np.array([[0, 2**24 - 1]], np.float32)).tolist() == [[0, 2**24 - 1]]
    with pytest.raises(SampleError, match="must be below"):
        whole_ids(np.array([[0, 2**24]], np.float32))


def test_annotations_give_classes_and_ids_where_objects_touch(tmp_path, folder):
    tifffile.imwrite(Path(folder.images) / "a.tif", np.zeros((40, 50), np.uint8))
    squares = [("cell", 5, 5), ("cell", 15, 5), ("debris", 30, 20)]
    shapes = [
        {
            "label": label,
            "points": [[x, y], [x + 10, y], [x + 10, y + 10], [x, y + 10]],
            "shape_type": "polygon",
        }
        for label, x, y in squares
    ]
    (Path(folder.masks) / "a.json").write_text(json.dumps({"shapes": shapes, "imagePath": "a.tif"}))
    result, found = packed(folder, tmp_path / "out", options())
    assert [c.name for c in result.manifest.classes] == ["background", "cell", "debris", "border"]
    sample = found["a"]
    assert [sample.instances[10, 10], sample.instances[10, 20], sample.instances[25, 35]] == [1, 2, 3]
    assert [sample.mask[10, x] for x in (10, 14, 15, 20)] == [1, 3, 3, 1]
    assert sample.mask[25, 35] == 2


def test_classes_that_objects_cannot_have_are_refused(tmp_path, folder):
    fill(folder, 1)
    for spec, reason in (
        ({"classes": ["a", "b"], "task": "multilabel"}, "do not overlap"),
        ({"classes": ["background", "border"]}, "adds the class 'border'"),
        ({"classes": ["background", "a", "b"]}, "objects of one class"),
    ):
        with pytest.raises(InputError, match=reason):
            pack([SourceFolder(folder.images, folder.masks)], str(tmp_path / "o"),
                 options(classes=ClassSpec.model_validate(spec)))  # fmt: skip
