"""A split that no prediction could be told apart on is refused, after reading as little as that takes."""

import numpy as np
import pytest

from unetpp.core.errors import InputError
from unetpp.core.manifest import IGNORE, ChannelStats, ClassInfo, Manifest, SplitInfo
from unetpp.core.storage import open_storage
from unetpp.data.dataset.parquet import encode_shard, shard_info
from unetpp.data.dataset.sample import Sample
from unetpp.data.dataset.scorable import require_scorable

CLASSES = {"binary": 1, "multiclass": 3, "multilabel": 2}


def dataset(folder, task, values, ignore=IGNORE):
    """A split val of one shard for each image, of one value but for a corner that is ignored."""
    storage, infos = open_storage(folder), []
    for index, value in enumerate(values):
        mask = np.full((6, 6), value, np.uint8)
        mask[0, 0] = IGNORE if ignore is not None else value
        image = np.zeros((6, 6, 1), np.uint8)
        part = [Sample(f"s{index}", f"s{index}", image, mask, None, f"{index}.png", (6, 6))]
        data = encode_shard(part)
        infos.append(shard_info("val", index, part, data))
        storage.write(infos[-1].name, data)
    classes = tuple(ClassInfo(name=f"class{k}", colour=(k, 0, 0)) for k in range(CLASSES[task]))
    return storage, Manifest(
        version="00001", task=task, classes=classes, ignore_index=ignore, channels=1, dtype="uint8",
        splits={"val": SplitInfo(rows=len(values), shards=tuple(infos))},
        channel_stats=(ChannelStats(mean=0, std=1, p01=0, p50=0, p99=0),), sizes={"6x6": len(values)},
        class_pixels=(1,) * CLASSES[task], foreground_histogram=(0,) * 10, command="test", versions={},
        fingerprint="test",
    )  # fmt: skip


@pytest.mark.parametrize("task", CLASSES)
def test_split_of_ignored_pixels_only_is_refused(tmp_path, task):
    with pytest.raises(InputError, match=r"split val .* all of its pixels are ignored"):
        require_scorable(*dataset(tmp_path, task, [IGNORE, IGNORE]))


@pytest.mark.parametrize("task", ["binary", "multilabel"])
def test_split_without_foreground_is_refused(tmp_path, task):
    with pytest.raises(InputError, match="must hold a pixel of class0"):
        require_scorable(*dataset(tmp_path, task, [0, IGNORE, 0]))


@pytest.mark.parametrize(
    ("task", "values"),
    [
        ("binary", [0, IGNORE, 1]),
        ("multilabel", [0, 2]),
        ("multiclass", [IGNORE, 0]),
        ("multiclass", [1]),
    ],
)
def test_split_with_one_mask_that_suffices_is_taken(tmp_path, task, values):
    require_scorable(*dataset(tmp_path, task, values))


def test_split_is_read_up_to_the_first_mask_that_suffices(tmp_path):
    storage, manifest = dataset(tmp_path, "binary", [0, 1, 0])
    (tmp_path / manifest.splits["val"].shards[2].name).unlink()
    require_scorable(storage, manifest)


def test_split_of_classes_without_ignored_pixels_is_not_read(tmp_path):
    storage, manifest = dataset(tmp_path, "multiclass", [0], ignore=None)
    (tmp_path / manifest.splits["val"].shards[0].name).unlink()
    require_scorable(storage, manifest)


def test_split_with_a_damaged_shard_is_left_to_the_reader(tmp_path):
    storage, manifest = dataset(tmp_path, "binary", [0])
    storage.write(manifest.splits["val"].shards[0].name, b"no parquet")
    require_scorable(storage, manifest)
