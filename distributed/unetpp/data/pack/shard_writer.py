"""Last step of packing: decode one planned shard's rows, encode them and store the file."""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
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
from unetpp.data.images.resize import resize_image, resize_mask, resize_valid
from unetpp.data.pack.discover import Rejection
from unetpp.data.pack.options import PackOptions
from unetpp.data.pack.read_pair import Valid, both_valid, read_labels, read_pixels, read_space
from unetpp.data.pack.scan import LabelledPair
from unetpp.data.pack.shard_plan import PlannedRow, PlannedShard, Settled
from unetpp.data.pack.stats import DatasetStats, PixelStats
from unetpp.data.sources.channels import open_channels
from unetpp.data.sources.files import UnreadFileError, location
from unetpp.data.sources.raster import Space
from unetpp.data.sources.registry import open_labels
from unetpp.data.sources.slices import slice_spacing

__all__ = ["DecodedPair", "FinishedShard", "ShardTask", "WrittenShard", "decode_pair", "write_shard"]

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


@dataclass(frozen=True)
class DecodedPair:
    """The image and stored mask of a pair, (Z) H W C and (Z) H W."""

    source: LabelledPair
    image: NDArray[Any]
    mask: NDArray[np.uint8]
    valid: Valid
    space: Space

    def plane(self, index: int | None) -> "DecodedPair":
        """One slice of a volume; a picture as it is."""
        if index is None:
            return self
        valid = None if self.valid is None else self.valid[index]
        return replace(self, image=self.image[index], mask=self.mask[index], valid=valid)


def _samples(task: ShardTask, rejections: list[Rejection], images: list[str]) -> Iterator[Sample]:
    """The shard's samples; what is left out and the digest of each sample's image are appended."""
    decoded: DecodedPair | None = None
    refused: LabelledPair | None = None
    digests: dict[int | None, str] = {}
    for row in task.shard.rows:
        if row.source is refused:
            continue
        # Parts of one image follow each other: decoding it once serves them all.
        if decoded is None or decoded.source is not row.source:
            try:
                decoded, digests = decode_pair(row.source, task.settled, task.options), {}
            except (SampleError, UnreadFileError) as error:
                refused = row.source
                rejections.append(_rejection(row.source, error))
                continue
        picture = decoded.plane(row.plane)
        if row.plane not in digests:
            digests[row.plane] = image_digest(picture.image)
        images.append(digests[row.plane])
        yield _sample(row, picture, task.options)


def _rejection(source: LabelledPair, error: SampleError | UnreadFileError) -> Rejection:
    if isinstance(error, UnreadFileError):
        return Rejection.of_unread(error)
    return Rejection(location(source.pair.images[0]), str(error))


def decode_pair(source: LabelledPair, settled: Settled, options: PackOptions) -> DecodedPair:
    """The pixels of a pair as they are stored.

    Raises:
        SampleError: it changed since it was looked at, or cannot be decoded.
        UnreadFileError: a file is missing or refused.
    """
    pair, header = source.pair, source.header
    with open_channels(pair.images) as raster, open_labels(pair.mask) as labels:
        if hashlib.sha256(raster.digest + labels.digest).hexdigest() != source.digest:
            raise SampleError("the file changed while it was packed; pack again")
        pixels = read_pixels(raster, options)
        values, mask_valid = read_labels(labels, raster, options, settled.meaning)
        mask = settled.labelling.apply(values)
        space = read_space(raster, options)
    image = match_channels(pixels.values, settled.channels)
    planes = () if header.planes is None else (header.planes,)
    if (image.shape, image.dtype.name) != (
        (*planes, header.height, header.width, settled.channels),
        settled.dtype,
    ):
        raise SampleError(f"pixels {image.shape} {image.dtype.name} differ from the file's header")
    counted = both_valid(pixels.valid, mask_valid)
    if counted is not None:
        mask[~counted] = IGNORE
    return DecodedPair(source, image, mask, pixels.valid, space)


def _sample(row: PlannedRow, picture: DecodedPair, options: PackOptions) -> Sample:
    image, mask, valid = picture.image, picture.mask, picture.valid
    pair, header = row.source.pair, row.source.header
    sample_id = pair.sample_id if row.plane is None else f"{pair.sample_id}#{row.plane:04d}"
    if options.size_px is not None:
        image = resize_image(image, options.size_px, options.size_px)
        mask = resize_mask(mask, options.size_px, options.size_px)
        if valid is not None:
            valid = resize_valid(valid, options.size_px, options.size_px)
            mask = np.where(valid, mask, np.uint8(IGNORE))
    if row.box is not None:
        box = row.box
        corner = (box.top, box.left) if box.planes is None else (box.front, box.top, box.left)
        sample_id = f"{sample_id}@{'x'.join(map(str, corner))}"
        image, mask = image[box.slices].copy(), mask[box.slices].copy()
        valid = None if valid is None else valid[box.slices]
    return Sample(
        sample_id=sample_id,
        group=row.group,
        image=image,
        mask=mask,
        label=row.label,
        source=pair.images[0].path,
        source_size_px=(header.height, header.width),
        tile=row.box,
        space=None if picture.space == Space() else _placed(picture.space, row, options),
        valid=valid,
    )


def _placed(space: Space, row: PlannedRow, options: PackOptions) -> Space:
    """The spacing between the sample's own pixels; everything else stays that of the file."""
    spacing = space.spacing
    if row.plane is not None and options.slices is not None and len(spacing) == _VOLUME_DIMS:
        spacing = slice_spacing(spacing, options.slices)
    if options.size_px is not None:
        sides = (row.source.header.height, row.source.header.width)
        spacing = tuple(step * side / options.size_px for step, side in zip(spacing, sides, strict=False))
    return replace(space, spacing=spacing)
