"""Which classes each train sample holds, and how often it is drawn for them: repeat factor sampling."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from unetpp.core.errors import CorruptionError
from unetpp.core.manifest import IGNORE, Manifest, ShardInfo
from unetpp.core.storage import Storage
from unetpp.data.dataset.stored_file import StoredFile

__all__ = ["class_presence", "classes_in", "repeat_factors"]


def repeat_factors(
    presence: tuple[NDArray[np.bool_], ...], threshold: float
) -> tuple[tuple[float, ...], ...]:
    """How often each sample is drawn relative to the others (Gupta et al. 2019, LVIS, section 4).

    A class in a share f of the samples has max(1, sqrt(threshold / f)), a sample the largest of its classes'.

    Args:
        presence: by shard, (rows, classes), see `class_presence`.
        threshold: share below which a class is rare.

    Returns:
        By shard and row, to four digits.
    """
    share = np.concatenate(presence).mean(0)
    of_class = np.sqrt(np.maximum(threshold / np.maximum(share, 1e-12), 1.0))
    return tuple(tuple(np.where(rows, of_class, 1.0).max(1).round(4).tolist()) for rows in presence)


def class_presence(storage: Storage, manifest: Manifest) -> tuple[NDArray[np.bool_], ...]:
    """Which classes the train samples hold: by shard, (rows, classes). Only masks travel.

    Raises:
        CorruptionError: a shard is missing or is none.
        StorageError: the storage refuses.
    """
    shards = manifest.splits["train"].shards
    return tuple(np.stack(list(_rows(storage, manifest, shard))) for shard in shards)


def classes_in(mask: NDArray[np.uint8], manifest: Manifest) -> NDArray[np.bool_]:
    """(classes,): those of which a stored mask has a pixel."""
    counts = np.bincount(mask.ravel(), minlength=IGNORE + 1)
    if manifest.task == "multilabel":
        fields = np.flatnonzero(counts[: 1 << 7])  # the top bit is that of ignored pixels
        return np.array([bool((fields >> bit & 1).any()) for bit in range(manifest.num_classes)])
    first = 1 if manifest.task == "binary" else 0
    found: NDArray[np.bool_] = counts[first : first + manifest.num_classes] > 0
    return found


def _rows(storage: Storage, manifest: Manifest, shard: ShardInfo) -> Iterator[NDArray[np.bool_]]:
    try:
        with pq.ParquetFile(pa.PythonFile(StoredFile(storage, shard.name, shard.bytes), "r")) as file:
            for group in range(file.num_row_groups):
                for mask in file.read_row_group(group, columns=["mask"])["mask"]:
                    yield classes_in(np.frombuffer(mask.as_buffer(), np.uint8), manifest)
    except (FileNotFoundError, pa.ArrowException) as error:
        raise CorruptionError(
            f"the masks of shard {shard.name} cannot be read: {error}; pack again"
        ) from error
