"""What masks hold is found from the shards alone, and rare classes draw their samples more often."""

import numpy as np
import pytest

from fakes import write_dataset
from unetpp.core.errors import CorruptionError
from unetpp.core.manifest import ClassInfo
from unetpp.core.storage import open_storage
from unetpp.data.dataset.class_presence import class_presence, classes_in, repeat_factors


def manifest_of(tmp_path, task: str, classes: int):
    names = tuple(ClassInfo(name=str(index), colour=(0, 0, 0)) for index in range(classes))
    return write_dataset(tmp_path, {"train": 7, "val": 2}).model_copy(update={"task": task, "classes": names})


@pytest.mark.parametrize(
    ("task", "classes", "values", "found"),
    [
        ("binary", 1, [0, 255], [False]),
        ("binary", 1, [0, 1], [True]),
        ("multiclass", 4, [0, 2, 255], [True, False, True, False]),
        ("multilabel", 3, [0b001, 0b100, 0b1000_0010], [True, False, True]),
    ],
)
def test_classes_in_any_task_are_those_of_counted_pixels(tmp_path, task, classes, values, found):
    mask = np.array(values, np.uint8)
    assert classes_in(mask, manifest_of(tmp_path, task, classes)).tolist() == found


def test_class_presence_has_a_row_for_each_train_sample_by_shard(tmp_path):
    manifest = write_dataset(tmp_path, {"train": 7, "val": 2}, rows_per_shard=5)
    presence = class_presence(open_storage(str(tmp_path)), manifest)
    assert [part.shape for part in presence] == [(5, 1), (2, 1)]
    assert all(part.all() for part in presence)


def test_class_presence_of_a_damaged_shard_names_it(tmp_path):
    manifest = write_dataset(tmp_path, {"train": 3})
    name = manifest.splits["train"].shards[0].name
    (tmp_path / name).write_bytes(b"x" * 100)
    with pytest.raises(CorruptionError, match=name):
        class_presence(open_storage(str(tmp_path)), manifest)


def test_repeat_factors_follow_the_formula():
    # Class 0 is everywhere, class 1 in one of four samples, class 2 in none.
    presence = (np.array([[1, 0, 0], [1, 1, 0]], bool), np.array([[1, 0, 0], [1, 0, 0]], bool))
    assert repeat_factors(presence, 1.0) == ((1.0, 2.0), (1.0, 1.0))
    assert repeat_factors(presence, 0.5) == ((1.0, 1.4142), (1.0, 1.0))
    assert repeat_factors(presence, 0.25) == ((1.0, 1.0), (1.0, 1.0))
