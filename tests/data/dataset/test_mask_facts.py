"""What masks tell a plan."""

import numpy as np
import pytest

from fakes import write_dataset
from unetpp.core.manifest import ClassInfo
from unetpp.core.storage import open_storage
from unetpp.data.dataset.mask_facts import facts_of, measure_masks


@pytest.fixture
def manifest(tmp_path):
    return write_dataset(tmp_path / "data", {"train": 12, "val": 2})


def of_classes(manifest, count):
    classes = tuple(ClassInfo(name=str(index), colour=(0, 0, 0)) for index in range(count))
    return manifest.model_copy(update={"task": "multiclass", "classes": classes})


def test_masks_of_sky_over_road_have_an_up(manifest):
    mask = np.zeros((40, 60), np.uint8)
    mask[25:] = 1
    facts = facts_of([mask], of_classes(manifest, 2))
    assert facts.vertical_asymmetry > 0.7
    assert facts.horizontal_asymmetry == 0


@pytest.mark.parametrize("width", [2, 3, 8])
def test_strips_are_as_thick_as_they_are_wide(manifest, width):
    mask = np.zeros((64, 400), np.uint8)
    mask[20 : 20 + width] = 1
    assert facts_of([mask], manifest).thickness_px == pytest.approx(width)


def test_masks_without_foreground_have_no_thickness(manifest):
    assert facts_of([np.zeros((8, 8), np.uint8)], manifest).thickness_px == 0
    assert facts_of([], manifest).masks == 0


def test_labels_of_one_mask_are_looked_at_one_by_one(manifest):
    mask = np.zeros((16, 16), np.uint8)
    mask[4:8] |= 1
    mask[:, 4:8] |= 2
    facts = facts_of(
        [mask], manifest.model_copy(update={"task": "multilabel", "classes": manifest.classes * 2})
    )
    assert facts.thickness_px == pytest.approx(4)


def test_measured_masks_are_those_of_the_train_split(tmp_path, manifest):
    facts = measure_masks(open_storage(str(tmp_path / "data")), manifest)
    assert facts is not None
    assert facts.masks == 12
    assert facts.thickness_px == pytest.approx(3, abs=0.2)  # squares of six pixels, some at the border


def test_measuring_masks_of_lost_shards_tells_nothing(tmp_path, manifest):
    for path in (tmp_path / "data" / "shards").iterdir():
        path.unlink()
    assert measure_masks(open_storage(str(tmp_path / "data")), manifest) is None
