"""Last step of packing: decode one planned shard's rows, encode them and store the file."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from unetpp.core.errors import CorruptionError
from unetpp.core.manifest import IGNORE, ShardInfo
from unetpp.core.storage import Storage
from unetpp.data.dataset.parquet import encode_shard, read_shard, samples_of, shard_info
from unetpp.data.dataset.sample import Sample
from unetpp.data.images.header import SampleError
from unetpp.data.images.resize import resize_image, resize_mask, resize_valid
from unetpp.data.pack.discover import Rejection
from unetpp.data.pack.options import PackOptions
from unetpp.data.pack.parts import Part, open_parts
from unetpp.data.pack.scan import LabelledPair
from unetpp.data.pack.shard_plan import PlannedRow, PlannedShard, Settled
from unetpp.data.pack.stats import DatasetStats, PixelStats
from unetpp.data.sources.files import UnreadFileError, location
from unetpp.data.sources.raster import Space
from unetpp.data.sources.slices import slice_spacing

__all__ = ["FinishedShard", "ShardTask", "WrittenShard", "write_shard"]

logger = logging.getLogger(__name__)

_VOLUME_DIMS = 3


@dataclass(frozen=True)
class FinishedShard:
    """A stored shard, or none if every row was rejected."""

    split: str
    index: int
    info: ShardInfo | None
    rejections: tuple[Rejection, ...]
    images: tuple[str, ...] = ()
    """Digest of each row's image, see contents.py."""
    lacks_data: bool = False
    """Whether pixels hold no data, which stored rows do not tell: its statistics need the source files."""


@dataclass(frozen=True)
class ShardTask:
    """All a worker needs to write one shard; `finished` is what an earlier, interrupted run wrote."""

    storage: Storage
    shard: PlannedShard
    settled: Settled
    options: PackOptions
    with_pixels: bool
    """Whether its pixels count in the dataset's statistics, beside its sizes."""
    finished: FinishedShard | None


@dataclass(frozen=True)
class WrittenShard:
    """A stored shard, and what its rows add to the dataset's statistics."""

    shard: FinishedShard
    stats: DatasetStats


def write_shard(task: ShardTask) -> WrittenShard:
    """Write a shard, or count one that is there already; the same task always gives the same bytes.

    Raises:
        StorageError: the storage of the sources or of the dataset cannot be used.
    """
    if task.finished is not None:
        try:
            return _recount(task, task.finished)
        except CorruptionError as error:
            logger.warning("%s; writing it again", error)
    rejections: list[Rejection] = []
    images: list[str] = []
    samples = list(_samples(task, rejections, images))
    info: ShardInfo | None = None
    if samples:
        data = encode_shard(samples)
        info = shard_info(task.shard.split, task.shard.index, samples, data)
        task.storage.write(info.name, data)
    lacks_data = any(sample.valid is not None for sample in samples)
    finished = FinishedShard(
        task.shard.split, task.shard.index, info, tuple(rejections), tuple(images), lacks_data
    )
    return WrittenShard(finished, _stats(task, samples))


def _recount(task: ShardTask, finished: FinishedShard) -> WrittenShard:
    samples = [] if finished.info is None else list(samples_of(read_shard(task.storage, finished.info)))
    return WrittenShard(finished, _stats(task, samples))


def _stats(task: ShardTask, samples: list[Sample]) -> DatasetStats:
    labelling = task.settled.labelling
    empty = PixelStats.empty(task.settled.channels, task.settled.dtype, len(labelling.classes))
    stats = DatasetStats(empty)
    stats.add(samples, labelling.task, with_pixels=task.with_pixels)
    return stats


def _samples(task: ShardTask, rejections: list[Rejection], images: list[str]) -> Iterator[Sample]:
    """The shard's samples; what is left out and the digest of each sample's image are appended."""
    # Parts of one image follow each other: opening it once serves them all.
    for _, rows in groupby(task.shard.rows, key=lambda row: id(row.source)):
        planned = list(rows)
        source = planned[0].source
        try:
            with open_parts(source, task.settled, task.options) as read:
                parts = [(row, part) for row in planned if (part := read(row)) is not None]
        except (SampleError, UnreadFileError) as error:
            rejections.append(_rejection(source, error))
            continue
        images += [part.digest for _, part in parts]
        yield from (_sample(row, part, task.options) for row, part in parts)


def _rejection(source: LabelledPair, error: SampleError | UnreadFileError) -> Rejection:
    if isinstance(error, UnreadFileError):
        return Rejection.of_unread(error)
    return Rejection(location(source.pair.images[0]), str(error))


def _sample(row: PlannedRow, part: Part, options: PackOptions) -> Sample:
    image, mask, valid, space = part.image, part.mask, part.valid, part.space
    ids = part.ids
    pair, header = row.source.pair, row.source.header
    sample_id = pair.sample_id if row.plane is None else f"{pair.sample_id}#{row.plane:04d}"
    if options.size_px is not None:
        space = space.scaled(mask.shape[0] / options.size_px, mask.shape[1] / options.size_px)
        image = resize_image(image, options.size_px, options.size_px)
        mask = resize_mask(mask, options.size_px, options.size_px)
        ids = None if ids is None else resize_mask(ids, options.size_px, options.size_px)
        if valid is not None:
            valid = resize_valid(valid, options.size_px, options.size_px)
            mask = np.where(valid, mask, np.uint8(IGNORE))
    if row.box is not None:
        box = row.box
        corner = (box.top, box.left) if box.planes is None else (box.front, box.top, box.left)
        sample_id = f"{sample_id}@{'x'.join(map(str, corner))}"
    return Sample(
        sample_id=sample_id,
        group=row.group,
        image=image,
        mask=mask,
        label=row.label,
        source=pair.images[0].path,
        source_size_px=(header.height, header.width),
        tile=row.box,
        space=None if space == Space() else _placed(space, row, options),
        valid=valid,
        instances=ids,
    )


def _placed(space: Space, row: PlannedRow, options: PackOptions) -> Space:
    """The spacing between the sample's own pixels beside its transform; `affine` stays that of the file."""
    spacing = space.spacing
    if row.plane is not None and options.slices is not None and len(spacing) == _VOLUME_DIMS:
        spacing = slice_spacing(spacing, options.slices)
    if options.size_px is not None:
        sides = (row.source.header.height, row.source.header.width)
        spacing = tuple(step * side / options.size_px for step, side in zip(spacing, sides, strict=False))
    return replace(space, spacing=spacing)
