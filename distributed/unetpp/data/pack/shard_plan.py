"""Second step of packing: settle what the dataset is and which rows go into which shard. Pure functions."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np

from unetpp.core.manifest import IGNORE, SPLITS
from unetpp.data.dataset.chunks import cut_by_bytes
from unetpp.data.dataset.membership import Membership
from unetpp.data.dataset.shard_size import target_bytes
from unetpp.data.images.header import Dtype, SampleError
from unetpp.data.pack.discover import Rejection
from unetpp.data.pack.labels import Labelling
from unetpp.data.pack.masks.meaning import MaskMeaning, understand
from unetpp.data.pack.masks.unmasked import image_label
from unetpp.data.pack.options import PackOptions
from unetpp.data.pack.scan import LabelledPair, ScannedPair
from unetpp.data.pack.splitting.assign import Member, assign_splits, kept_groups
from unetpp.data.sources.boxes import tile_boxes
from unetpp.data.sources.files import location
from unetpp.data.sources.raster import Box
from unetpp.data.sources.spacing import shape_of

__all__ = [
    "PlannedRow",
    "PlannedShard",
    "Settled",
    "fingerprint",
    "leaks",
    "plan_shards",
    "settle",
]

_ROWS_VERSION = 1
"""Of what packing makes of the same files; how shards are stored does not count."""
_BLOCK_PX = 128
"""Side of the blocks that larger volumes are trained on.

A row gives one crop an epoch: with a row a volume an epoch would be a few steps."""

T = TypeVar("T", Dtype, int, Literal[2, 3])


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """A sample to write; `box` is a part of its image, `plane` the slice of its volume."""

    source: LabelledPair
    group: str
    label: int | None
    box: Box | None
    plane: int | None = None


@dataclass(frozen=True)
class PlannedShard:
    split: str
    index: int
    rows: tuple[PlannedRow, ...]


@dataclass(frozen=True)
class Settled:
    """Properties all rows share."""

    meaning: MaskMeaning
    channels: int
    dtype: Dtype
    spatial_dims: Literal[2, 3]
    image_labels: tuple[str, ...]
    channel_files: int = 1
    """Of one image."""

    @property
    def labelling(self) -> Labelling:
        """How labels are stored."""
        return self.meaning.labelling


def settle(
    scanned: Sequence[ScannedPair], options: PackOptions
) -> tuple[Settled, list[LabelledPair], list[Rejection]]:
    """Decide what the masks mean, channels and dtype; pairs that do not fit are rejected.

    The most frequent dtype and number of channels win; grey images join an RGB dataset by repeating
    the channel.

    Raises:
        InputError: the masks are implausible, and nothing is said about them.
    """
    spec = options.classes
    meaning = understand(
        {location(item.pair.mask): item.mask for item in scanned if not item.pair.is_unmasked},
        options.mask_reading,
    )
    if any(item.lacks_data for item in scanned):
        meaning = replace(meaning, labelling=replace(meaning.labelling, ignore_index=IGNORE))
    dtype = _most_frequent([item.header.dtype for item in scanned])
    channels = _most_frequent([item.header.channels for item in scanned])
    if {item.header.channels for item in scanned} == {1, 3}:
        channels = 3
    image_labels = spec.image_labels if spec else ()
    spatial_dims = _most_frequent([_dims(item, options) for item in scanned])
    channel_files = _most_frequent([len(item.pair.images) for item in scanned])
    settled = Settled(meaning, channels, dtype, spatial_dims, image_labels, channel_files)
    kept: list[LabelledPair] = []
    rejections: list[Rejection] = []
    for item in scanned:
        found = _labelled(item, settled, options)
        if isinstance(found, Rejection):
            rejections.append(found)
        else:
            kept.append(found)
    return settled, kept, rejections


def plan_shards(
    kept: Sequence[LabelledPair], settled: Settled, options: PackOptions, previous: Membership
) -> list[PlannedShard]:
    """Assign rows to splits and shards; tiles of one image stay in one split and follow each other.

    Images of the previous version stay where they were.
    """
    groups = {item.pair.sample_id: options.group(item.pair.sample_id) for item in kept}
    splits = _splits(kept, settled, options, groups, previous)
    rows: dict[str, list[PlannedRow]] = {split: [] for split in SPLITS}
    # Hash order spreads neighbours, such as frames of one video, over all shards.
    for item in sorted(kept, key=lambda item: hashlib.sha256(item.pair.sample_id.encode()).digest()):
        sample_id = item.pair.sample_id
        label = image_label(sample_id, settled.image_labels)
        rows[splits[sample_id]] += [
            PlannedRow(item, groups[sample_id], label, box, plane)
            for plane, box in _parts(item, options, splits[sample_id])
        ]
    return [
        PlannedShard(split, index, shard)
        for split in SPLITS
        for index, shard in enumerate(_cut(rows[split], settled, options))
    ]


def fingerprint(
    kept: Sequence[LabelledPair], shards: Sequence[PlannedShard], settled: Settled, options: PackOptions
) -> str:
    """sha256 over file contents, ids, splits, groups and options; paths and times do not matter."""
    rows = {
        row.source.pair.sample_id: [shard.split, row.group, row.source.digest]
        for shard in shards
        for row in shard.rows
    }
    meaning = settled.meaning
    is_plain = options.masks_are is None and meaning.plane == "stored"
    content = {
        "schema_version": _ROWS_VERSION,
        "size_px": options.size_px,
        "tile_px": options.tile_px,
        **({} if options.instances is None else {"instances": options.instances.model_dump()}),
        **({} if options.slices is None else {"slices": options.slices}),
        **options.file_reading.settled(),
        **({"label_only": True} if options.label_only else {}),
        **({} if options.spacing_mm is None else {"spacing_mm": options.spacing_mm}),
        **({} if options.window is None else {"window": options.window}),
        **({} if is_plain else {"masks": [meaning.masks_are, meaning.plane, meaning.threshold]}),
        "classes": options.classes.identity if options.classes else None,
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


def _most_frequent(values: Sequence[T]) -> T:
    counts = Counter(values)
    return min(counts, key=lambda value: (-counts[value], str(value)))


def _dims(item: ScannedPair, options: PackOptions) -> Literal[2, 3]:
    return 2 if item.header.planes is None or options.slices is not None else 3


def _labelled(item: ScannedPair, settled: Settled, options: PackOptions) -> LabelledPair | Rejection:
    header = item.header
    at = location(item.pair.images[0])
    if _dims(item, options) != settled.spatial_dims:
        kind, others = ("volume", "pictures") if settled.spatial_dims == 2 else ("picture", "volumes")
        return Rejection(at, f"a {kind}; the dataset is of {others}: pack them apart")
    if header.dtype != settled.dtype:
        return Rejection(at, f"dtype {header.dtype}; the dataset is {settled.dtype}")
    if header.channels not in (settled.channels, 1 if settled.channels == 3 else settled.channels):
        return Rejection(at, f"channels={header.channels}; the dataset has {settled.channels}")
    try:
        labelled = LabelledPair(item.pair, header, _counts(item, settled), item.digest)
        settled.labelling.check(labelled.labels)
    except SampleError as error:
        return Rejection(location(item.pair.mask), str(error))
    return labelled


def _counts(item: ScannedPair, settled: Settled) -> tuple[tuple[int, int], ...]:
    return () if item.pair.is_unmasked else settled.meaning.counts(item.mask)


def _splits(
    kept: Sequence[LabelledPair],
    settled: Settled,
    options: PackOptions,
    groups: Mapping[str, str],
    previous: Membership,
) -> dict[str, str]:
    if kept[0].pair.split is not None:
        return {item.pair.sample_id: str(item.pair.split) for item in kept}
    members = [
        Member(
            groups[item.pair.sample_id],
            len(_parts(item, options, "train")),
            settled.labelling.foreground(dict(item.counts)),
        )
        for item in kept
    ]
    fractions = {"train": 1 - options.val - options.test, "val": options.val, "test": options.test}
    by_group = assign_splits(members, fractions, kept_groups(groups, previous))
    return {sample_id: by_group[group] for sample_id, group in groups.items()}


def _parts(item: LabelledPair, options: PackOptions, split: str) -> list[tuple[int | None, Box | None]]:
    """(slice, box) of each sample of an image."""
    header = item.header
    boxes: tuple[Box | None, ...] = (None,)
    is_volume = header.planes is not None and options.slices is None
    tile_px = options.tile_px
    if tile_px is None and is_volume and split == "train" and max(shape_of(header)) > _BLOCK_PX:
        tile_px = _BLOCK_PX
    if tile_px is not None:
        boxes = tile_boxes(header.height, header.width, tile_px, planes=header.planes if is_volume else None)
    sliced = header.planes is not None and not is_volume
    planes: Sequence[int | None] = range(header.planes or 0) if sliced else (None,)
    return [(plane, box) for plane in planes for box in boxes]


def _cut(
    rows: Sequence[PlannedRow], settled: Settled, options: PackOptions
) -> Iterator[tuple[PlannedRow, ...]]:
    def bytes_of(row: PlannedRow) -> int:
        return _decoded_bytes(row, settled, options)

    return map(tuple, cut_by_bytes(rows, bytes_of, target_bytes(sum(map(bytes_of, rows)))))


def _decoded_bytes(row: PlannedRow, settled: Settled, options: PackOptions) -> int:
    header = row.source.header
    planes = 1 if row.plane is not None else header.planes or 1
    pixels = planes * header.height * header.width
    if options.size_px is not None:
        pixels = options.size_px**2
    elif row.box is not None:
        pixels = (row.box.planes or 1) * row.box.height * row.box.width
    return pixels * (settled.channels * np.dtype(settled.dtype).itemsize + 1)
