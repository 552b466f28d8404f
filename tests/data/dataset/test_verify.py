from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from unetpp.core.manifest import Manifest, SplitInfo
from unetpp.core.storage import Storage
from unetpp.data.dataset.manifests import commit_manifest, load_manifest
from unetpp.data.dataset.parquet import encode_shard, iter_samples, shard_info
from unetpp.data.dataset.sample import Sample
from unetpp.data.dataset.verify import verify
from unetpp.data.pack.options import PackOptions
from unetpp.data.pack.pack import pack


@pytest.fixture
def dataset(tmp_path, cells) -> Storage:
    pack([cells], str(tmp_path / "out"), PackOptions(val=0.25, test=0))
    return Storage(str(tmp_path / "out"))


def rewritten(storage: Storage, change: Callable[[list[Sample]], list[Sample]], split: str = "train") -> None:
    """Replace a split by changed samples and commit it as a new version, digests and all."""
    manifest = load_manifest(storage)
    samples = change(list(iter_samples(storage, manifest, split)))
    data = encode_shard(samples)
    info = shard_info(split, 0, samples, data)
    storage.write(info.name, data)
    splits = manifest.splits | {split: SplitInfo(rows=len(samples), shards=(info,))}
    commit_manifest(storage, manifest.model_copy(update={"splits": splits, "version": "00002"}))


def changed(sample: Sample, **fields) -> Sample:
    return Sample(**(sample.__dict__ | fields))


def test_verify_of_a_packed_dataset_is_ok(dataset):
    done = []
    result = verify(dataset, lambda *progress: done.append(progress))
    assert (result.ok, result.rows, result.problems, result.orphans) == (True, 12, (), ())
    assert done[-1][0] == done[-1][1] == len(done)


@pytest.mark.parametrize("position", [0.0, 0.5, 0.999])
def test_verify_finds_a_flipped_bit_anywhere(dataset, position):
    manifest: Manifest = load_manifest(dataset)
    path = Path(dataset.local_path(manifest.splits["val"].shards[0].name))
    data = bytearray(path.read_bytes())
    data[int(len(data) * position)] ^= 4
    path.write_bytes(data)
    result = verify(dataset)
    assert not result.ok
    assert path.name in result.problems[0]


def test_verify_finds_a_missing_shard(dataset):
    dataset.delete(load_manifest(dataset).splits["train"].shards[0].name)
    assert "missing" in verify(dataset).problems[0]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda s: [changed(s[0], mask=np.full_like(s[0].mask, 9)), *s[1:]], "mask values [9]"),
        (lambda s: [s[0], *s], "more than once"),
        (lambda s: [changed(s[0], label=4), *s[1:]], "image label 4"),
        (lambda s: [changed(s[0], image=s[0].image[:8], mask=s[0].mask[:8]), *s[1:]], "size (8, 32)"),
        (lambda s: [changed(s[0], image=np.repeat(s[0].image, 2, axis=2)), *s[1:]], "2 channels"),
        (lambda s: [changed(s[0], mask=s[0].mask[:8]), *s[1:]], "mask holds"),
    ],
)
def test_verify_finds_rows_that_break_the_manifest(dataset, change, problem):
    rewritten(dataset, change)
    result = verify(dataset)
    assert not result.ok
    assert any(problem in text for text in result.problems)


def test_verify_finds_a_group_in_two_splits(dataset):
    group = next(iter_samples(dataset, load_manifest(dataset), "val")).group
    rewritten(dataset, lambda s: [changed(s[0], group=group), *s[1:]])
    assert any("is in train and val" in text for text in verify(dataset).problems)


def test_verify_names_shards_of_no_version_without_failing(dataset):
    dataset.write("shards/train-00009-0123.parquet", b"")
    result = verify(dataset)
    assert result.ok
    assert result.orphans == ("shards/train-00009-0123.parquet",)
