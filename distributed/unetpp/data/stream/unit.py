"""From shards to a worker's batches: numpy and pyarrow, no Ray.

Shapes: N samples of a batch, H height, W width, C channels; volumes have planes in front of H.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetpp.core.seeds import rng
from unetpp.core.storage import open_storage
from unetpp.data.cache.counts import NO_COUNTS, CacheCounts
from unetpp.data.cache.reader import ShardReader
from unetpp.data.cache.shard_cache import open_cache
from unetpp.data.stream.batch import HostBatch
from unetpp.data.stream.crop import crop_or_pad, draw_corner
from unetpp.data.stream.order import StepShare
from unetpp.data.stream.rows import ShardRows
from unetpp.data.stream.stream_plan import StreamPlan, Unit

__all__ = ["OpenUnit", "open_reader", "open_unit"]


@dataclass(frozen=True)
class OpenUnit:
    """One worker's part of a unit, whose shards are at hand."""

    plan: StreamPlan
    unit: Unit
    shares: Mapping[int, StepShare]
    """By step."""
    rows: Mapping[int, NDArray[np.int64]]
    """By step: (N, 2), shard and stored row in it of the share's positions."""
    global_sizes: Mapping[int, int]
    """By step: samples of the global batch."""
    shards: Mapping[int, ShardRows]
    counts: CacheCounts
    in_cache: bool
    """Whether this machine's cache holds every shard, so that reading the unit again costs no fetch."""

    def batches(self) -> Iterator[HostBatch]:
        """In step order; the first carries the unit's cache counts."""
        counts = self.counts
        for step, share in self.shares.items():
            rows = [(self.shards[shard], row) for shard, row in self.rows[step].tolist()]
            images, masks = _pixels(self.plan, self.unit, share, rows)
            yield HostBatch(
                split=self.unit.split,
                epoch=self.unit.epoch,
                step=step,
                global_size=self.global_sizes[step],
                images=images,
                masks=masks,
                weights=share.weights,
                positions=share.positions,
                labels=np.array([shard.labels[row] for shard, row in rows], dtype=np.int64),
                sample_ids=tuple(shard.sample_id(row) for shard, row in rows),
                counts=counts,
            )
            counts = NO_COUNTS


def open_unit(plan: StreamPlan, unit: Unit, *, rank: int, world_size: int, reader: ShardReader) -> OpenUnit:
    """Read the shards that a worker needs for a unit.

    Raises:
        CorruptionError: a shard is missing, or differs from its digest after every fetch.
        StorageError: the storage refuses, or fails beyond its deadline.
    """
    order = plan.order(unit.split, unit.epoch)
    batch_size = plan.batch_size if unit.split == "train" else plan.val_batch_size(world_size)
    steps = range(unit.first, unit.last)
    shares = {step: plan.share(unit.split, step, rank=rank, world_size=world_size) for step in steps}
    positions = [share.positions for share in shares.values()]
    rows = order.rows(np.concatenate(positions))
    needed = np.unique(rows[:, 0]).tolist()
    infos = [plan.manifest.splits[unit.split].shards[shard] for shard in needed]
    for shard, info in zip(needed, infos, strict=True):
        if info.selected is not None:
            here = rows[:, 0] == shard
            rows[here, 1] = np.asarray(info.selected)[rows[here, 1]]
    rows_of_step = np.split(rows, np.cumsum([len(part) for part in positions])[:-1])
    read = reader.read_all(infos)
    tables = [ShardRows(table, info.name) for table, info in zip(read.tables, infos, strict=True)]
    return OpenUnit(
        plan=plan,
        unit=unit,
        shares=shares,
        rows=dict(zip(steps, rows_of_step, strict=True)),
        global_sizes={step: min(batch_size, order.num_rows - step * batch_size) for step in steps},
        shards=dict(zip(needed, tables, strict=True)),
        counts=read.counts,
        in_cache=read.in_cache,
    )


def open_reader(plan: StreamPlan) -> ShardReader:
    """The plan's shards, through the machine's cache unless `cache_bytes` is 0."""
    cache = open_cache(plan.cache_dir, plan.cache_bytes) if plan.cache_bytes else None
    return ShardReader(open_storage(plan.uri), plan.manifest, cache)


def _pixels(
    plan: StreamPlan, unit: Unit, share: StepShare, rows: Sequence[tuple[ShardRows, int]]
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Images (N, *size, C) and masks (N, *size): training crops, or whole rows, which then have one size."""
    shard, row = rows[0]
    is_cut = unit.split == "train"
    size = plan.crop if is_cut else tuple(shard.sizes[row].tolist())
    images = np.empty((len(rows), *size, shard.channels), shard.dtype)
    masks = np.empty((len(rows), *size), np.uint8)
    for index, (shard, row) in enumerate(rows):
        image, mask = shard.image(row), shard.mask(row)
        if is_cut and mask.shape != size:
            generator = rng("crop", plan.seed, unit.epoch, int(share.positions[index]))
            corner = draw_corner(mask, size, generator, foreground=plan.foreground, task=plan.manifest.task)
            image, mask = crop_or_pad(image, mask, size, corner)
        # The only copy between the mapped file and the batch.
        images[index], masks[index] = image, mask
    return images, masks
