"""What a reading task sends to its worker: a batch, or word that the cache holds it; Arrow rows both.

Shapes: N samples, H height, W width, C channels; volumes have planes in front of H.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unetpp.data.cache.counts import NO_COUNTS, CacheCounts
from unetpp.data.stream.stream_plan import Unit

__all__ = ["CachedUnit", "HostBatch"]


@dataclass(frozen=True)
class HostBatch:
    """A worker's share of one global batch; arrays may be read-only views of shared memory."""

    split: str
    epoch: int
    step: int
    global_size: int
    """Samples in the global batch, over all workers."""
    images: NDArray[np.generic]
    """uint8, uint16 or float32, (N, H, W, C), raw units."""
    masks: NDArray[np.uint8]
    """(N, H, W); IGNORE where a pixel never counts."""
    weights: NDArray[np.float32]
    """(N,): 0 for a sample repeated only so that every worker takes the step, else 1."""
    positions: NDArray[np.int64]
    """(N,) epoch positions: with the seed they fix every random decision."""
    labels: NDArray[np.int64]
    """(N,) image-level class, -1 where unknown."""
    sample_ids: tuple[str, ...]
    counts: CacheCounts = NO_COUNTS
    """What reading the shards for this and the next batches took; in the first batch of a unit."""

    def to_table(self) -> pa.Table:
        """One row; pixels as plain binary so that reading them is a view, never a copy."""
        small = {
            "split": self.split,
            "epoch": self.epoch,
            "step": self.step,
            "global_size": self.global_size,
            "shape": self.images.shape,
            "dtype": self.images.dtype.name,
            "weights": self.weights.tolist(),
            "positions": self.positions.tolist(),
            "labels": self.labels.tolist(),
            "sample_ids": self.sample_ids,
            "counts": asdict(self.counts),
        }
        return _row(small, self.images, self.masks)

    @classmethod
    def from_table(cls, table: pa.Table, row: int) -> "HostBatch":
        """View one row of a table made by `to_table`."""
        small = json.loads(str(table["small"][row]))
        shape, dtype = tuple(small.pop("shape")), np.dtype(small.pop("dtype"))
        images = np.frombuffer(table["images"][row].as_buffer(), dtype=dtype).reshape(shape)
        masks = np.frombuffer(table["masks"][row].as_buffer(), dtype=np.uint8).reshape(shape[:-1])
        return cls(
            split=small["split"],
            epoch=small["epoch"],
            step=small["step"],
            global_size=small["global_size"],
            images=images,
            masks=masks,
            weights=np.array(small["weights"], dtype=np.float32),
            positions=np.array(small["positions"], dtype=np.int64),
            labels=np.array(small["labels"], dtype=np.int64),
            sample_ids=tuple(small["sample_ids"]),
            counts=CacheCounts(**small["counts"]),
        )


@dataclass(frozen=True)
class CachedUnit:
    """Word that the reader's machine has all shards of a unit in its cache."""

    unit: Unit
    counts: CacheCounts

    def to_table(self) -> pa.Table:
        """One row beside those of batches."""
        small = {"unit": asdict(self.unit), "counts": asdict(self.counts)}
        nothing = np.empty(0, np.uint8)
        return _row(small, nothing, nothing)

    @staticmethod
    def is_at(table: pa.Table, row: int) -> bool:
        """Whether a row is such word, and no batch."""
        return len(table["images"][row].as_buffer()) == 0

    @classmethod
    def from_table(cls, table: pa.Table, row: int) -> "CachedUnit":
        small = json.loads(str(table["small"][row]))
        return cls(Unit(**small["unit"]), CacheCounts(**small["counts"]))


def _row(small: dict[str, Any], images: NDArray[np.generic], masks: NDArray[np.uint8]) -> pa.Table:
    # One JSON text: columns of lists would take ten times as long to build and to read.
    columns = [pa.array([json.dumps(small)], pa.string()), _binary(images), _binary(masks)]
    return pa.Table.from_arrays(columns, names=["small", "images", "masks"])


def _binary(pixels: NDArray[np.generic]) -> pa.Array:
    data = np.ascontiguousarray(pixels)
    offsets = pa.py_buffer(np.array([0, data.nbytes], dtype=np.int64))
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), 1, [None, offsets, pa.py_buffer(data)])
