"""Second step of packing: settle what the dataset is and which rows go into which shard. Pure functions."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from unetpp.core.errors import InputError
from unetpp.core.manifest import SCHEMA_VERSION
from unetpp.data.dataset.chunks import cut_by_bytes
from unetpp.data.dataset.sample import Box
from unetpp.data.dataset.shard_size import target_bytes
from unetpp.data.images.header import Dtype, SampleError
from unetpp.data.pack.classes import ClassSpec
from unetpp.data.pack.discover import Rejection, location
from unetpp.data.pack.groups import EACH_ALONE, GroupRule
from unetpp.data.pack.labels import Labelling, infer_labelling, labelling_of
from unetpp.data.pack.scan import ScannedPair
from unetpp.data.pack.split import Member, assign_splits
from unetpp.data.pack.tile import tile_boxes

__all__ = [
    "SPLITS",
    "PackOptions",
    "PlannedRow",
    "PlannedShard",
    "Settled",
    "fingerprint",
    "leaks",
    "plan_shards",
    "settle",
]

SPLITS = ("train", "val", "test")

T = TypeVar("T", Dtype, int)


@dataclass(frozen=True)
class PackOptions:
    """What changes the packed bytes."""

    val: float = 0.1
    test: float = 0.1
    size_px: int | None = None
    """Every image is resized to this square."""
    tile_px: int | None = None
    """Every image is cut into squares of this side."""
    classes: ClassSpec | None = None
    group: GroupRule = EACH_ALONE
    """Samples of one group stay in one split."""

    def check(self) -> None:
        """Raises InputError if the options contradict each other."""
        if self.size_px is not None and self.tile_px is not None:
            raise InputError("--size and --tile exclude each other; resize whole images or cut them")
        for name, value in (("size", self.size_px), ("tile", self.tile_px)):
            if value is not None and value < 8:
                raise InputError(f"--{name} {value} must be at least 8 pixels")


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """A sample to write; `box` is a part of its image."""

    source: ScannedPair
    group: str
    label: int | None
    box: Box | None


@dataclass(frozen=True)
class PlannedShard:
    split: str
    index: int
    rows: tuple[PlannedRow, ...]


@dataclass(frozen=True)
class Settled:
    """Properties all rows share."""

    labelling: Labelling
    channels: int
    dtype: Dtype
    image_labels: tuple[str, ...]


def settle(
    scanned: Sequence[ScannedPair], spec: ClassSpec | None
) -> tuple[Settled, list[ScannedPair], list[Rejection]]:
    """Decide labelling, channels and dtype; pairs that do not fit are rejected.

    The most frequent dtype and number of channels win; grey images join an RGB dataset by repeating
    the channel.
    """
    labelling = _labelling(scanned, spec)
    dtype = _most_frequent([item.header.dtype for item in scanned])
    channels = _most_frequent([item.header.channels for item in scanned])
    if {item.header.channels for item in scanned} == {1, 3}:
        channels = 3
    image_labels = spec.image_labels if spec else ()
    settled = Settled(labelling, channels, dtype, image_labels)
    kept: list[ScannedPair] = []
    rejections: list[Rejection] = []
    for item in scanned:
        reason = _misfit(item, settled)
        if reason is None:
            kept.append(item)
        else:
            rejections.append(reason)
    return settled, kept, rejections


def plan_shards(kept: Sequence[ScannedPair], settled: Settled, options: PackOptions) -> list[PlannedShard]:
    """Assign rows to splits and shards; tiles of one image stay in one split and follow each other."""
    groups = {item.pair.sample_id: options.group(item.pair.sample_id) for item in kept}
    splits = _splits(kept, settled, options, groups)
    rows: dict[str, list[PlannedRow]] = {split: [] for split in SPLITS}
    # Hash order spreads neighbours, such as frames of one video, over all shards.
    for item in sorted(kept, key=lambda item: hashlib.sha256(item.pair.sample_id.encode()).digest()):
        sample_id = item.pair.sample_id
        label = _image_label(sample_id, settled.image_labels)
        boxes = _boxes(item, options)
        rows[splits[sample_id]] += [PlannedRow(item, groups[sample_id], label, box) for box in boxes]
    return [
        PlannedShard(split, index, shard)
        for split in SPLITS
        for index, shard in enumerate(_cut(rows[split], settled, options))
    ]


def fingerprint(kept: Sequence[ScannedPair], shards: Sequence[PlannedShard], options: PackOptions) -> str:
    """sha256 over file contents, ids, splits, groups and options; paths and times do not matter."""
    rows = {
        row.source.pair.sample_id: [shard.split, row.group, row.source.digest]
        for shard in shards
        for row in shard.rows
    }
    content = {
        "schema_version": SCHEMA_VERSION,
        "size_px": options.size_px,
        "tile_px": options.tile_px,
        "classes": options.classes.model_dump() if options.classes else None,
        "rows": sorted([sample_id, *row] for sample_id, row in rows.items()),
        "pairs": len(kept),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def leaks(shards: Sequence[PlannedShard]) -> list[str]:
    """Ids of samples outside train whose files equal those of a sample in another split."""
    first_split: dict[str, str] = {}
    found: dict[str, None] = {}
    for shard in shards:
        for row in shard.rows:
            if first_split.setdefault(row.source.digest, shard.split) != shard.split:
                found[row.source.pair.sample_id] = None
    return list(found)


def _labelling(scanned: Sequence[ScannedPair], spec: ClassSpec | None) -> Labelling:
    if spec is None:
        return infer_labelling(item.values for item in scanned)
    return labelling_of(spec, frozenset().union(*(item.values for item in scanned)))


def _most_frequent(values: Sequence[T]) -> T:
    counts = Counter(values)
    return min(counts, key=lambda value: (-counts[value], str(value)))


def _misfit(item: ScannedPair, settled: Settled) -> Rejection | None:
    header = item.header
    if header.dtype != settled.dtype:
        return Rejection(location(item.pair.image), f"dtype {header.dtype}; the dataset is {settled.dtype}")
    if header.channels not in (settled.channels, 1 if settled.channels == 3 else settled.channels):
        reason = f"channels={header.channels}; the dataset has {settled.channels}"
        return Rejection(location(item.pair.image), reason)
    try:
        settled.labelling.check(item.values)
    except SampleError as error:
        return Rejection(location(item.pair.mask), str(error))
    return None


def _splits(
    kept: Sequence[ScannedPair], settled: Settled, options: PackOptions, groups: Mapping[str, str]
) -> dict[str, str]:
    if kept[0].pair.split is not None:
        return {item.pair.sample_id: str(item.pair.split) for item in kept}
    members = [
        Member(
            groups[item.pair.sample_id],
            len(_boxes(item, options)),
            settled.labelling.foreground(dict(item.counts)),
        )
        for item in kept
    ]
    fractions = {"train": 1 - options.val - options.test, "val": options.val, "test": options.test}
    by_group = assign_splits(members, fractions)
    return {sample_id: by_group[group] for sample_id, group in groups.items()}


def _boxes(item: ScannedPair, options: PackOptions) -> tuple[Box | None, ...]:
    if options.tile_px is None:
        return (None,)
    return tile_boxes(item.header.height, item.header.width, options.tile_px)


def _image_label(sample_id: str, names: Sequence[str]) -> int | None:
    folders = sample_id.split("/")[:-1]
    return next((names.index(folder) for folder in folders if folder in names), None)


def _cut(
    rows: Sequence[PlannedRow], settled: Settled, options: PackOptions
) -> Iterator[tuple[PlannedRow, ...]]:
    def bytes_of(row: PlannedRow) -> int:
        return _decoded_bytes(row, settled, options)

    return map(tuple, cut_by_bytes(rows, bytes_of, target_bytes(sum(map(bytes_of, rows)))))


def _decoded_bytes(row: PlannedRow, settled: Settled, options: PackOptions) -> int:
    header = row.source.header
    pixels = header.height * header.width
    if options.size_px is not None:
        pixels = options.size_px**2
    elif row.box is not None:
        pixels = row.box.height * row.box.width
    return pixels * (settled.channels * np.dtype(settled.dtype).itemsize + 1)
