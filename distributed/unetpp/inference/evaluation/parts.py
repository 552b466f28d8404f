"""A split cut into parts, each of which is scored at once, whoever does it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import prod

from unetpp.core.manifest import Manifest, ShardInfo
from unetpp.core.storage import Storage
from unetpp.data.dataset.parquet import samples_of_shard
from unetpp.data.dataset.sample import Sample

__all__ = ["Part", "PartReader", "batches", "cut_parts"]

_BATCH_PIXELS = 512 * 512
"""Pixels that are predicted at once; samples of one size are joined up to this."""
_MOST_ROWS = 64
"""Of a part: small images are shared among processes, too."""


@dataclass(frozen=True)
class Part:
    """Neighbours of one shard."""

    number: int
    """Its place among the parts."""
    first: int
    """Its first row's place in the split."""
    shard: int
    """Number of the split's shard."""
    start: int
    """Its first row among those of the shard that belong to the split."""
    rows: int


def cut_parts(manifest: Manifest, split: str) -> list[Part]:
    """All parts of a split, in its order; a part has no more rows than the smallest images fill a batch.

    Parts do not depend on how many processes share them: which images are predicted together may change the
    last bits of their probabilities.
    """
    smallest_px = min(prod(map(int, size.split("x"))) for size in manifest.sizes)
    rows = min(_MOST_ROWS, max(1, _BATCH_PIXELS // smallest_px))
    parts: list[Part] = []
    first = 0
    for shard, info in enumerate(manifest.splits[split].shards):
        for start in range(0, info.rows, rows):
            parts.append(Part(len(parts), first + start, shard, start, min(rows, info.rows - start)))
        first += info.rows
    return parts


class PartReader:
    """Reads parts; memory holds one shard.

    Args:
        storage: of the dataset.
        shards: of the split.
    """

    def __init__(self, storage: Storage, shards: Sequence[ShardInfo]) -> None:
        self._storage, self._shards = storage, tuple(shards)
        self._held: tuple[int, list[Sample]] = (-1, [])

    def __call__(self, part: Part) -> list[Sample]:
        """Its samples.

        Raises:
            CorruptionError: the shard is missing or damaged.
        """
        if self._held[0] != part.shard:
            self._held = (-1, [])  # is free before the next is read
            self._held = (part.shard, list(samples_of_shard(self._storage, self._shards[part.shard])))
        return self._held[1][part.start : part.start + part.rows]


def batches(samples: Iterable[Sample]) -> Iterator[list[Sample]]:
    """Join neighbours of one size, up to 512 x 512 pixels."""
    batch: list[Sample] = []
    for sample in samples:
        pixels = sample.mask.size
        if batch and (sample.mask.shape != batch[0].mask.shape or (len(batch) + 1) * pixels > _BATCH_PIXELS):
            yield batch
            batch = []
        batch.append(sample)
    if batch:
        yield batch
