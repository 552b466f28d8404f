"""Last step of packing: decode one planned shard's rows, encode them and store the file."""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unetpp.core.errors import CorruptionError
from unetpp.core.manifest import IGNORE, ShardInfo
from unetpp.core.storage import Storage
from unetpp.data.dataset.contents import image_digest
from unetpp.data.dataset.parquet import encode_shard, read_shard, samples_of, shard_info
from unetpp.data.dataset.sample import Sample
from unetpp.data.images.channels import match_channels
from unetpp.data.images.header import SampleError
from unetpp.data.images.resize import resize_image, resize_mask
from unetpp.data.pack.discover import Rejection
from unetpp.data.pack.masks.annotated import open_mask
from unetpp.data.pack.options import PackOptions
from unetpp.data.pack.read_pair import read_labels, read_pixels
from unetpp.data.pack.scan import ScannedPair
from unetpp.data.pack.shard_plan import PlannedRow, PlannedShard, Settled
from unetpp.data.pack.stats import DatasetStats, PixelStats
from unetpp.data.sources.files import UnreadFileError, location
from unetpp.data.sources.raster import Space
from unetpp.data.sources.registry import open_image

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


@dataclass(frozen=True)
class _Decoded:
    """The image and stored mask of a pair, (Z) H W C and (Z) H W."""

    source: ScannedPair
    image: NDArray[Any]
    mask: NDArray[np.uint8]
    ids: NDArray[np.int32] | None
    space: Space

    def plane(self, index: int | None) -> "_Decoded":
        """One slice of a volume; None is a picture itself."""
        if index is None:
            return self
        ids = None if self.ids is None else self.ids[index]
        return _Decoded(self.source, self.image[index], self.mask[index], ids, self.space)


def _samples(task: ShardTask, rejections: list[Rejection], images: list[str]) -> Iterator[Sample]:
    """The shard's samples; what is left out and the digest of each sample's image are appended."""
    decoded: _Decoded | None = None
    refused: ScannedPair | None = None
    digests: dict[int | None, str] = {}
    for row in task.shard.rows:
        if row.source is refused:
            continue
        # Parts of one image follow each other: decoding it once serves them all.
        if decoded is None or decoded.source is not row.source:
            try:
                decoded, digests = _decode(row.source, task), {}
            except (SampleError, UnreadFileError) as error:
                refused = row.source
                rejections.append(_rejection(row.source, error))
                continue
        plane = decoded.plane(row.plane)
        if row.plane not in digests:
            digests[row.plane] = image_digest(plane.image)
        images.append(digests[row.plane])
        yield _sample(row, plane, task.options)


def _rejection(source: ScannedPair, error: SampleError | UnreadFileError) -> Rejection:
    if isinstance(error, UnreadFileError):
        return Rejection.of_unread(error)
    return Rejection(location(source.pair.image), str(error))


def _decode(source: ScannedPair, task: ShardTask) -> _Decoded:
    pair, settled, header = source.pair, task.settled, source.header
    with open_image(pair.image) as raster, open_mask(pair, raster, task.options.classes) as labels:
        if hashlib.sha256(raster.digest + labels.digest).hexdigest() != source.digest:
            raise SampleError("the file changed while it was packed; pack again")
        pixels = read_pixels(raster, task.options)
        read = read_labels(labels, header, task.options)
        mask = settled.labelling.apply(read.values)
        space = raster.space
    image = match_channels(pixels.values, settled.channels)
    planes = () if header.planes is None else (header.planes,)
    if (image.shape, image.dtype.name) != (
        (*planes, header.height, header.width, settled.channels),
        settled.dtype,
    ):
        raise SampleError(f"pixels {image.shape} {image.dtype.name} differ from the file's header")
    if pixels.valid is not None:
        mask[~pixels.valid] = IGNORE
    return _Decoded(source, image, mask, read.ids, space)


def _sample(row: PlannedRow, decoded: _Decoded, options: PackOptions) -> Sample:
    pair, header = row.source.pair, row.source.header
    image, mask, ids, space = decoded.image, decoded.mask, decoded.ids, decoded.space
    sample_id = pair.sample_id if row.plane is None else f"{pair.sample_id}#{row.plane:04d}"
    if options.size_px is not None:
        image = resize_image(image, options.size_px, options.size_px)
        mask = resize_mask(mask, options.size_px, options.size_px)
        ids = None if ids is None else resize_mask(ids, options.size_px, options.size_px)
    if row.box is not None:
        box = row.box
        sample_id = f"{sample_id}@{box.top}x{box.left}"
        rows, columns = slice(box.top, box.top + box.height), slice(box.left, box.left + box.width)
        image, mask = image[rows, columns].copy(), mask[rows, columns].copy()
        ids = None if ids is None else ids[rows, columns]
    return Sample(
        sample_id=sample_id,
        group=row.group,
        image=image,
        mask=mask,
        label=row.label,
        source=pair.image.path,
        source_size_px=(header.height, header.width),
        tile=row.box,
        space=space if space != Space() else None,
        instances=ids,
    )
