import dataclasses

import numpy as np
import pytest

from fakes import write_dataset
from unetpp.core.errors import ExistsError
from unetpp.core.manifest import ShardInfo, SplitInfo
from unetpp.core.storage import Storage
from unetpp.data.dataset.manifests import load_manifest
from unetpp.data.dataset.parquet import iter_samples
from unetpp.data.dataset.repack import repack
from unetpp.data.dataset.shard_size import shard_advice
from unetpp.data.dataset.verify import verify

ROWS = {"train": 37, "val": 5}


def contents(storage: Storage, split: str) -> list[list[object]]:
    samples = iter_samples(storage, load_manifest(storage), split)
    return [
        [v.tolist() if isinstance(v, np.ndarray) else v for v in dataclasses.asdict(s).values()]
        for s in samples
    ]


def test_repack_tiny_shards_keeps_every_row_in_order(tmp_path):
    source, target = Storage(str(tmp_path / "a")), Storage(str(tmp_path / "b"))
    before = write_dataset(tmp_path / "a", ROWS, rows_per_shard=1)
    seen = []
    after = repack(source, target, lambda *progress: seen.append(progress))
    assert load_manifest(target) == after
    assert [len(after.splits[split].shards) for split in ROWS] == [1, 1]
    for split in ROWS:
        assert contents(target, split) == contents(source, split)
    assert (after.fingerprint, after.sizes, after.channel_stats) == (
        (before.fingerprint, before.sizes, before.channel_stats)
    )
    assert [problem for problem in verify(target).problems if "shard" in problem] == []
    assert seen[-1] == (42, 42)


def test_repack_onto_a_dataset_is_refused(tmp_path):
    write_dataset(tmp_path / "a", ROWS)
    write_dataset(tmp_path / "b", ROWS)
    with pytest.raises(ExistsError, match="another --out"):
        repack(Storage(str(tmp_path / "a")), Storage(str(tmp_path / "b")))


@pytest.mark.parametrize(("count", "mib", "warned"), [(1500, 0.1, True), (9, 0.1, False), (1500, 64, False)])
def test_advice_is_given_for_very_many_very_small_shards(tmp_path, count, mib, warned):
    manifest = write_dataset(tmp_path, {"train": 5})
    shard = ShardInfo(name="x", sha256="0", bytes=1, rows=1, decoded_bytes=int(mib * 2**20))
    many = manifest.model_copy(update={"splits": {"train": SplitInfo(rows=count, shards=(shard,) * count)}})
    advice = shard_advice(many, "s3://b/d")
    assert (advice is not None and "unetpp data repack s3://b/d --out" in advice) == warned
