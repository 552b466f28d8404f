"""Folds: groups stay together, every row is validated on once, and shards stay as they are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import read_unit, tiny_config, write_dataset
from unetpp.core.errors import ConfigError, CorruptionError
from unetpp.core.manifest import Manifest
from unetpp.core.storage import open_storage
from unetpp.data.dataset.class_presence import class_presence
from unetpp.data.dataset.parquet import iter_samples
from unetpp.data.dataset.stored_masks import masks_of
from unetpp.data.stream.folds import count_rows, deal_groups, fold_view, row_groups
from unetpp.data.stream.stream_plan import epoch_units
from unetpp.training.run.job import TrainJob, stream_plan

GROUPS = st.dictionaries(st.text(min_size=1, max_size=4), st.integers(1, 20), min_size=6, max_size=12)


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed")
    manifest = write_dataset(folder, {"train": 11, "val": 4, "test": 3})
    storage = open_storage(folder)
    return storage, manifest, row_groups(storage, manifest)


def ids(storage, manifest, split):
    return [sample.sample_id for sample in iter_samples(storage, manifest, split)]


@given(rows=GROUPS, folds=st.integers(2, 6), seed=st.integers(0, 100))
def test_deal_groups_every_fold_gets_rows_and_folds_differ_by_no_more_than_a_group(rows, folds, seed):
    found = deal_groups(rows, folds, seed)
    held = [sum(rows[group] for group in rows if found[group] == fold) for fold in range(folds)]
    assert found.keys() == rows.keys()
    assert min(held) > 0
    assert max(held) - min(held) <= max(rows.values())


@given(rows=GROUPS, seed=st.integers(0, 100))
def test_deal_groups_does_not_follow_the_order_of_the_groups(rows, seed):
    assert deal_groups(dict(reversed(rows.items())), 3, seed) == deal_groups(rows, 3, seed)


def test_deal_groups_another_seed_gives_other_folds():
    rows = {f"patient-{number}": 1 for number in range(30)}
    assert deal_groups(rows, 3, 0) != deal_groups(rows, 3, 1)


def test_deal_groups_fewer_groups_than_folds_names_what_fits():
    with pytest.raises(ConfigError, match=r"rows have 3; use train\.folds=3"):
        deal_groups({"a": 5, "b": 5, "c": 5}, 4, 0)


def test_fold_view_every_row_validates_once_and_trains_in_all_other_folds(packed):
    storage, manifest, groups = packed
    fold_of = deal_groups(count_rows(groups), 4, 0)
    every = [*ids(storage, manifest, "train"), *ids(storage, manifest, "val")]
    validated = []
    for fold in range(4):
        view = fold_view(manifest, groups, fold_of, fold)
        val, train = ids(storage, view, "val"), ids(storage, view, "train")
        assert sorted(val + train) == sorted(every)
        assert {fold_of[name] for name in val} == {fold}
        assert (view.splits["val"].rows, view.splits["train"].rows) == (len(val), len(train))
        assert ids(storage, view, "test") == ids(storage, manifest, "test")
        validated += val
    assert sorted(validated) == sorted(every)


@pytest.mark.parametrize("world_size", [1, 2])
def test_fold_view_training_reads_the_rows_of_other_folds_alone(packed, world_size):
    storage, manifest, groups = packed
    view = fold_view(manifest, groups, deal_groups(count_rows(groups), 3, 0), 2)
    plan = stream_plan(TrainJob(tiny_config(storage.uri), view, "unused"))
    for split in ("train", "val"):
        seen, pixels = {}, {s.sample_id: s.image for s in iter_samples(storage, view, split)}
        for rank in range(world_size):
            for unit in epoch_units(plan, 0, world_size=world_size):
                for batch in read_unit(plan, unit, rank=rank, world_size=world_size):
                    if batch.split == split:
                        rows = zip(batch.sample_ids, batch.weights, batch.images, strict=True)
                        seen |= {name: image for name, weight, image in rows if weight}
        assert seen.keys() == pixels.keys()
        assert all(np.array_equal(seen[name], image) for name, image in pixels.items())


def test_fold_view_class_pixels_are_of_as_many_rows_as_it_trains_on(packed):
    _, manifest, groups = packed
    counted = manifest.model_copy(update={"class_pixels": (1100, 1)})
    view = fold_view(counted, groups, deal_groups(count_rows(groups), 3, 0), 0)
    assert view.splits["train"].rows == 10
    assert view.class_pixels == (1000, 1)


def test_fold_view_rows_of_a_group_stay_together(packed):
    storage, manifest, groups = packed
    joined = {name: [group[-1] for group in found] for name, found in groups.items()}
    fold_of = deal_groups(count_rows(joined), 3, 0)
    for fold in range(3):
        view = fold_view(manifest, joined, fold_of, fold)
        ends = [{name[-1] for name in ids(storage, view, split)} for split in ("train", "val")]
        assert not ends[0] & ends[1]


def test_fold_view_masks_alone_are_those_of_its_rows(packed):
    storage, manifest, groups = packed
    view = fold_view(manifest, groups, deal_groups(count_rows(groups), 3, 0), 1)
    masks = [mask.tobytes() for shard in view.splits["val"].shards for mask in masks_of(storage, shard)]
    assert masks == [sample.mask.tobytes() for sample in iter_samples(storage, view, "val")]
    assert sum(map(len, class_presence(storage, view))) == view.splits["train"].rows


def test_manifest_as_packed_says_nothing_of_selected_rows(packed):
    _, manifest, groups = packed
    view = fold_view(manifest, groups, deal_groups(count_rows(groups), 3, 0), 0)
    assert "selected" not in manifest.model_dump_json()
    assert Manifest.model_validate_json(view.model_dump_json()) == view


def test_row_groups_missing_shard_is_named(packed, tmp_path):
    _, manifest, _ = packed
    with pytest.raises(CorruptionError, match=r"train-00000.*pack again"):
        row_groups(open_storage(tmp_path), manifest)
