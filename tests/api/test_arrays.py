"""Arrays become the dataset that their files would become."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import unetpp
from unetpp.core.errors import InputError
from unetpp.core.storage import open_storage
from unetpp.data.dataset.manifests import load_manifest
from unetpp.data.dataset.parquet import iter_samples

IMAGE = np.arange(16 * 12 * 3, dtype=np.uint8).reshape(16, 12, 3)
MASK = np.zeros((16, 12), dtype=np.uint8)
MASK[4:8] = 1


def samples_of(folder: Path, split: str) -> dict[str, Any]:
    storage = open_storage(folder)
    return {sample.sample_id: sample for sample in iter_samples(storage, load_manifest(storage), split)}


def drawn(count: int) -> Iterator[tuple[str, Any, Any]]:
    generator = np.random.default_rng(0)
    for index in range(count):
        yield f"a{index}", generator.integers(0, 255, (16, 12, 3), dtype=np.uint8), MASK


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*.parquet")}


def test_arrays_of_one_set_are_split_and_come_back_as_they_were(tmp_path) -> None:
    result = unetpp.pack(arrays=drawn(10), out=tmp_path / "data", val=0.2, test=0.2)
    assert sum(result.rows.values()) == 10
    assert set(result.rows) == {"train", "val", "test"}
    packed = {name: s for split in result.rows for name, s in samples_of(tmp_path / "data", split).items()}
    for name, image, mask in drawn(10):
        np.testing.assert_array_equal(packed[name].image, image)
        np.testing.assert_array_equal(packed[name].mask, mask)


def test_same_arrays_give_the_same_shards_wherever_they_lay(tmp_path, monkeypatch) -> None:
    unetpp.pack(arrays=drawn(6), out=tmp_path / "one")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "elsewhere"))
    unetpp.pack(arrays=drawn(6), out=tmp_path / "two")
    assert shards(tmp_path / "one") == shards(tmp_path / "two") != {}
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("name", ["cell", "cell_mask", "cell_img", "x-label", "sat", "p1.slice 2", "é"])
def test_name_of_an_array_is_the_id_of_its_sample(tmp_path, name: str) -> None:
    unetpp.pack(arrays={"test": [(name, IMAGE, MASK)]}, out=tmp_path / "data")
    (sample_id,) = samples_of(tmp_path / "data", "test")
    assert sample_id == f"test/{name}"


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
def test_masks_of_every_dtype_mean_the_same(tmp_path, dtype: Any) -> None:
    unetpp.pack(arrays={"test": [("a", IMAGE, MASK.astype(dtype))]}, out=tmp_path / "data")
    (sample,) = samples_of(tmp_path / "data", "test").values()
    np.testing.assert_array_equal(sample.mask, MASK)


def test_array_that_cannot_be_packed_is_left_out_with_its_reason(tmp_path) -> None:
    odd = [("odd", IMAGE, MASK[:4])]
    result = unetpp.pack(arrays={"train": [*drawn(2), *odd]}, out=tmp_path / "data")
    assert result.rows == {"train": 2}
    ((file, reason),) = result.rejected
    assert file == "mask odd"
    assert "16" in reason


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"arrays": []}, "no array to pack"),
        ({"arrays": [("a/b", IMAGE, MASK)]}, "'a/b' must be a plain file name"),
        ({"arrays": [("a", IMAGE, MASK)] * 2}, "two arrays are named 'a'"),
        ({"arrays": [("a", IMAGE.tolist(), MASK)]}, "'a': list is no NumPy array"),
        ({"arrays": [("a", IMAGE, MASK)], "images": "x"}, "or arrays in place of both"),
        ({"images": "x"}, "give images and masks"),
        ({"arrays": {"tset": [("a", IMAGE, MASK)]}}, "no split 'tset'; use train, val, test"),
        ({"arrays": [("a", IMAGE, MASK)], "address": "auto"}, "on this machine"),
    ],
)
def test_pack_mistake_is_named(tmp_path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        unetpp.pack(out=tmp_path / "data", **given)


def test_pack_without_a_place_says_so() -> None:
    with pytest.raises(InputError, match="out names no place"):
        unetpp.pack("images", "masks")
