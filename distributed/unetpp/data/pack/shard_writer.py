"""Last step of packing: decode one planned shard's rows, encode them and store the file."""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetpp.core.errors import CorruptionError
from unetpp.core.manifest import ShardInfo
from unetpp.core.storage import Storage
from unetpp.data.dataset.contents import image_digest
from unetpp.data.dataset.parquet import encode_shard, read_shard, samples_of, shard_info
from unetpp.data.dataset.sample import Sample
from unetpp.data.images.channels import match_channels
from unetpp.data.images.decode import read_image, read_mask
from unetpp.data.images.header import SampleError
from unetpp.data.images.resize import resize_image, resize_mask
from unetpp.data.pack.discover import Rejection, UnreadFileError, location, read_file
from unetpp.data.pack.labels import to_values
from unetpp.data.pack.scan import ScannedPair
from unetpp.data.pack.shard_plan import PackOptions, PlannedRow, PlannedShard, Settled
from unetpp.data.pack.stats import DatasetStats, PixelStats

__all__ = ["FinishedShard", "ShardTask", "WrittenShard", "write_shard"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FinishedShard:
    """A stored shard, or none if every row was rejected."""

    split: str
    index: int
    info: ShardInfo | None
    rejections: tuple[Rejection, ...]
    images: tuple[str, ...] = ()
    """Digest of each row's image, see contents.py."""


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
    finished = FinishedShard(task.shard.split, task.shard.index, info, tuple(rejections), tuple(images))
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
    decoded: tuple[ScannedPair, NDArray[Any], NDArray[np.uint8]] | None = None
    refused: ScannedPair | None = None
    digest = ""
    for row in task.shard.rows:
        if row.source is refused:
            continue
        # Tiles of one image follow each other: decoding it once serves them all.
        if decoded is None or decoded[0] is not row.source:
            try:
                decoded = (row.source, *_decode(row.source, task))
                digest = image_digest(decoded[1])
            except (SampleError, UnreadFileError) as error:
                refused = row.source
                rejections.append(_rejection(row.source, error))
                continue
        images.append(digest)
        yield _sample(row, decoded[1], decoded[2], task.options)


def _rejection(source: ScannedPair, error: SampleError | UnreadFileError) -> Rejection:
    if isinstance(error, UnreadFileError):
        return error.rejection()
    return Rejection(location(source.pair.image), str(error))


def _decode(source: ScannedPair, task: ShardTask) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    pair, settled = source.pair, task.settled
    encoded_image, encoded_mask = read_file(pair.image), read_file(pair.mask)
    digest = hashlib.sha256(hashlib.sha256(encoded_image).digest() + hashlib.sha256(encoded_mask).digest())
    if digest.hexdigest() != source.digest:
        raise SampleError("the file changed while it was packed; pack again")
    image = match_channels(read_image(encoded_image), settled.channels)
    if (image.shape, image.dtype.name) != (
        (source.header.height, source.header.width, settled.channels),
        settled.dtype,
    ):
        raise SampleError(f"pixels {image.shape} {image.dtype.name} differ from the file's header")
    return image, settled.labelling.apply(to_values(read_mask(encoded_mask), task.options.classes))


def _sample(row: PlannedRow, image: NDArray[Any], mask: NDArray[np.uint8], options: PackOptions) -> Sample:
    pair, header = row.source.pair, row.source.header
    sample_id = pair.sample_id
    if options.size_px is not None:
        image = resize_image(image, options.size_px, options.size_px)
        mask = resize_mask(mask, options.size_px, options.size_px)
    if row.box is not None:
        box = row.box
        sample_id = f"{sample_id}@{box.top}x{box.left}"
        rows, columns = slice(box.top, box.top + box.height), slice(box.left, box.left + box.width)
        image, mask = image[rows, columns].copy(), mask[rows, columns].copy()
    return Sample(
        sample_id=sample_id,
        group=row.group,
        image=image,
        mask=mask,
        label=row.label,
        source=pair.image.path,
        source_size_px=(header.height, header.width),
        tile=row.box,
    )
