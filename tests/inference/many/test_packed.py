"""Rows of a packed dataset are predicted as the files they were packed from would be."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unetpp.core.errors import CorruptionError, InputError
from unetpp.core.storage import open_storage
from unetpp.data.dataset.manifests import load_manifest
from unetpp.data.dataset.parquet import iter_samples
from unetpp.inference.batch import PredictOptions, predict_paths
from unetpp.inference.many import packed
from unetpp.inference.many.journal import Journal
from untrained_run import write_untrained_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_untrained_run(tmp_path_factory.mktemp("run"), "multiclass")


@pytest.fixture
def data(run):
    return f"{run}-data"


def samples(data, split):
    storage = open_storage(data)
    return list(iter_samples(storage, load_manifest(storage), split))


def written(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in Path(folder).rglob("*.png")}


@pytest.mark.parametrize("split", [None, "train", "val"])
def test_predict_dataset_gives_the_masks_of_its_images_as_files(run, data, tmp_path, split):
    (tmp_path / "files").mkdir()
    for sample in samples(data, split or "test"):
        Image.fromarray(sample.image).save(tmp_path / "files" / f"{sample.sample_id}.png")
    predict_paths(run, str(tmp_path / "files"), str(tmp_path / "a"))
    found = predict_paths(run, data, str(tmp_path / "b"), PredictOptions(split=split))
    assert (found["split"], found["predicted"], found["failed"]) == (split or "test", 4, [])
    assert written(tmp_path / "a") == written(tmp_path / "b")


def test_predict_dataset_resized_as_in_training_is_not_resized_again(tmp_path):
    run = write_untrained_run(tmp_path, sizes=[(16, 16)] * 3, resized_px=16)
    predict_paths(run, f"{run}-data", str(tmp_path / "masks"))
    assert [Image.open(path).size for path in (tmp_path / "masks").glob("*.png")] == [(16, 16)] * 3


def test_predict_dataset_overlays_and_review_show_its_images(run, data, tmp_path):
    options = PredictOptions(overlay=True, review=2)
    found = predict_paths(run, data, str(tmp_path / "masks"), options)
    assert Path(found["review"]).exists()
    files = written(tmp_path / "masks")
    assert len([name for name in files if name.startswith("overlays/")]) == 4
    kept = {
        name.rpartition("/")[2]: data for name, data in files.items() if name.startswith("review/images/")
    }
    assert len(kept) == 2
    by_name = {f"{sample.sample_id}.png": sample.image for sample in samples(data, "test")}
    assert all(
        np.array_equal(np.asarray(Image.open(tmp_path / "masks/review/images" / name)), by_name[name])
        for name in kept
    )


def test_predict_dataset_goes_on_with_a_call_that_did_not_end(run, data, tmp_path, monkeypatch):
    out = tmp_path / "masks"
    monkeypatch.setattr(Journal, "end", lambda _journal: None)
    predict_paths(run, data, str(out))
    whole = written(out)
    lost = next(iter(whole))
    (out / lost).unlink()
    found = predict_paths(run, data, str(out), PredictOptions(resume=True))
    assert (found["predicted"], found["resumed"]) == (1, 3)
    assert written(out) == whole


def test_predict_dataset_fetches_each_shard_once(run, data, tmp_path, monkeypatch):
    fetched = []
    read = packed.read_shard
    monkeypatch.setattr(packed, "_shards", packed._Shards())
    monkeypatch.setattr(packed, "read_shard", lambda *at: fetched.append(at[1].name) or read(*at))
    predict_paths(run, data, str(tmp_path / "masks"))
    assert len(fetched) == 1


def test_predict_dataset_without_that_split_names_those_it_has(run, data, tmp_path):
    with pytest.raises(InputError, match=r"split='holdout' has no rows.*train"):
        predict_paths(run, data, str(tmp_path / "masks"), PredictOptions(split="holdout"))


def test_predict_split_of_files_is_refused(run, tmp_path):
    with pytest.raises(InputError, match="--split val chooses in a packed dataset"):
        predict_paths(run, str(tmp_path), str(tmp_path / "masks"), PredictOptions(split="val"))


def test_predict_dataset_packed_otherwise_is_refused(run, tmp_path):
    other = write_untrained_run(tmp_path, "multiclass", sizes=[(16, 16)] * 3, resized_px=16)
    with pytest.raises(InputError, match="side of resized images 16, the model was trained with None"):
        predict_paths(run, f"{other}-data", str(tmp_path / "masks"))


def test_predict_into_the_dataset_is_refused(run, data):
    with pytest.raises(InputError, match="lies inside the INPUT folder"):
        predict_paths(run, data, f"{data}/masks")


def test_predict_dataset_with_a_damaged_shard_says_so(run, data, tmp_path):
    shutil.copytree(data, tmp_path / "data")
    (shard,) = (tmp_path / "data" / "shards").glob("test-*")
    content = bytearray(shard.read_bytes())
    content[200] ^= 1
    shard.write_bytes(content)
    with pytest.raises(CorruptionError, match="test-00000"):
        predict_paths(run, str(tmp_path / "data"), str(tmp_path / "masks"))


def test_predict_folder_whose_file_has_the_name_of_a_manifest_is_a_folder(run, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    Image.fromarray(np.zeros((24, 24, 3), np.uint8)).save(folder / "a.png")
    (folder / "manifest.json").write_text(json.dumps({"icons": []}))
    assert predict_paths(run, str(folder), str(tmp_path / "masks"))["predicted"] == 1
