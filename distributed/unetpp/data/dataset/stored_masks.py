"""Columns of shards read alone, above all masks, and masks counted by value.

Mask values: see README.md of `data`.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from unetpp.core.errors import CorruptionError
from unetpp.core.manifest import MAX_LABELS, ShardInfo, Task
from unetpp.core.storage import Storage
from unetpp.data.dataset.stored_file import StoredFile

__all__ = ["class_pixels", "masks_of", "open_shard", "read_strings", "value_counts"]

_BLOCK_PIXELS = 2**18
"""Counting needs 8 bytes for each byte counted, so large masks are counted in blocks."""


def open_shard(storage: Storage, shard: ShardInfo) -> pq.ParquetFile:
    """A shard of which only what is asked for travels, unverified; to be closed.

    Raises:
        FileNotFoundError: it is missing; also while it is read.
        pyarrow.ArrowException: it is no parquet file; also while it is read.
    """
    return pq.ParquetFile(pa.PythonFile(StoredFile(storage, shard.name, shard.bytes), "r"))


def read_strings(storage: Storage, shard: ShardInfo, column: str) -> list[str]:
    """A column of text, such as the ids, of every row that is stored; nothing else travels.

    Raises:
        CorruptionError: the shard is missing or is none.
        StorageError: the storage refuses.
    """
    try:
        with open_shard(storage, shard) as file:
            found: list[str] = file.read(columns=[column])[column].to_pylist()
    except (FileNotFoundError, pa.ArrowException) as error:
        raise CorruptionError(
            f"the {column}s of shard {shard.name} cannot be read: {error}; pack again"
        ) from error
    return found


def masks_of(storage: Storage, shard: ShardInfo) -> Iterator[NDArray[np.uint8]]:
    """Pixels of the masks of a split's rows in a shard, flat, in storage order; raises as `open_shard`."""
    chosen, row = None if shard.selected is None else frozenset(shard.selected), 0
    with open_shard(storage, shard) as file:
        for group in range(file.num_row_groups):
            for mask in file.read_row_group(group, columns=["mask"])["mask"]:
                if chosen is None or row in chosen:
                    yield np.frombuffer(mask.as_buffer(), np.uint8)
                row += 1


def value_counts(mask: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Pixels per mask value, int64 (256,)."""
    flat = mask.ravel()
    counts = np.zeros(256, np.int64)
    for start in range(0, len(flat), _BLOCK_PIXELS):
        counts += np.bincount(flat[start : start + _BLOCK_PIXELS], minlength=256)
    return counts


def class_pixels(counts: NDArray[np.int64], num_classes: int, task: Task) -> NDArray[np.int64]:
    """Pixels per class, int64 (num_classes,), of pixels per mask value (256,)."""
    if task == "binary":
        return counts[1:2]
    if task == "multiclass":
        return counts[:num_classes]
    fields = np.arange(1 << MAX_LABELS)
    return np.array([counts[fields[fields >> bit & 1 == 1]].sum() for bit in range(num_classes)])
