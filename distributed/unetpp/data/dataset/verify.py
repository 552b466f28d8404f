"""Audit a packed dataset: every byte, every label, every promise of the manifest."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from unetpp.core.errors import CorruptionError
from unetpp.core.manifest import IGNORE, Manifest, ShardInfo
from unetpp.core.storage import Storage
from unetpp.data.dataset.manifests import list_versions, load_manifest
from unetpp.data.dataset.parquet import read_shard, samples_of
from unetpp.data.dataset.sample import Sample

__all__ = ["VerifyResult", "verify"]


@dataclass(frozen=True)
class VerifyResult:
    """`orphans` are shard files that no version of the manifest names; they harm no reader."""

    ok: bool
    rows: int
    problems: tuple[str, ...]
    orphans: tuple[str, ...]


@dataclass
class _Seen:
    """Ids and groups met so far, as 8-byte digests to hold little memory."""

    ids: set[bytes] = field(default_factory=set)
    split_of_group: dict[bytes, str] = field(default_factory=dict)


def verify(storage: Storage, on_shard: Callable[[int, int], None] = lambda *_: None) -> VerifyResult:
    """Read every shard of the current manifest and check it; memory holds one shard.

    `on_shard` is called with the shards done and their number.

    Raises:
        InputError: there is no dataset.
    """
    manifest = load_manifest(storage)
    seen = _Seen()
    problems: list[str] = []
    rows = 0
    plan = [(split, shard) for split, info in manifest.splits.items() for shard in info.shards]
    for done, (split, shard) in enumerate(plan, 1):
        found, shard_problems = _check_shard(storage, manifest, split, shard, seen)
        rows += found
        problems += shard_problems
        on_shard(done, len(plan))
    for split, info in manifest.splits.items():
        listed = sum(shard.rows for shard in info.shards)
        if listed != info.rows:
            problems.append(f"split {split}: the manifest says {info.rows} rows, its shards {listed}")
    return VerifyResult(not problems, rows, tuple(problems), _orphans(storage))


def _check_shard(
    storage: Storage, manifest: Manifest, split: str, shard: ShardInfo, seen: _Seen
) -> tuple[int, list[str]]:
    try:
        table = read_shard(storage, shard)
    except CorruptionError as error:
        return 0, [str(error)]
    problems: list[str] = []
    if table.num_rows != shard.rows:
        problems.append(f"{shard.name}: {table.num_rows} rows, the manifest says {shard.rows}")
    decoded_bytes = 0
    try:
        for sample in samples_of(table):
            decoded_bytes += sample.decoded_bytes
            problems += [f"{shard.name}: {text}" for text in _check_sample(sample, manifest, split, seen)]
    except CorruptionError as error:
        return table.num_rows, [*problems, f"{shard.name}: {error}"]
    if decoded_bytes != shard.decoded_bytes:
        problems.append(
            f"{shard.name}: {decoded_bytes} decoded bytes, the manifest says {shard.decoded_bytes}"
        )
    return table.num_rows, problems


def _check_sample(sample: Sample, manifest: Manifest, split: str, seen: _Seen) -> Iterator[str]:
    name = f"sample {sample.sample_id}"
    if (sample.image.shape[-1], sample.image.dtype.name) != (manifest.channels, manifest.dtype):
        yield f"{name}: {sample.image.shape[-1]} channels of {sample.image.dtype.name}"
    wrong = set(np.unique(sample.mask).tolist()) - _allowed(manifest)
    if wrong:
        yield f"{name}: mask values {sorted(wrong)[:5]} are no labels"
    if sample.label is not None and not 0 <= sample.label < len(manifest.image_labels):
        yield f"{name}: image label {sample.label} is not in {manifest.image_labels}"
    if "x".join(map(str, sample.mask.shape)) not in manifest.sizes:
        yield f"{name}: size {sample.mask.shape} is not in the manifest"
    key = _digest(sample.sample_id)
    if key in seen.ids:
        yield f"{name}: the id occurs more than once"
    seen.ids.add(key)
    other = seen.split_of_group.setdefault(_digest(sample.group), split)
    if other != split:
        yield f"{name}: group {sample.group} is in {other} and {split}"


def _allowed(manifest: Manifest) -> set[int]:
    count = manifest.num_classes
    values = set(range({"binary": 2, "multiclass": count, "multilabel": 2**count}[manifest.task]))
    return values if manifest.ignore_index is None else values | {IGNORE}


def _orphans(storage: Storage) -> tuple[str, ...]:
    named: set[str] = set()
    for version in list_versions(storage):
        for info in load_manifest(storage, version).splits.values():
            named.update(shard.name for shard in info.shards)
    return tuple(name for name in storage.list("shards/") if name not in named)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:8]
