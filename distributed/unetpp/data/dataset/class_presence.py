"""Which classes each train sample holds, and how often it is drawn for them: repeat factor sampling."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unetpp.core.errors import CorruptionError
from unetpp.core.manifest import Manifest, ShardInfo
from unetpp.core.storage import Storage
from unetpp.data.dataset.stored_masks import class_pixels, masks_of, value_counts

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
    return tuple(_rows(storage, manifest, shard) for shard in shards)


def classes_in(mask: NDArray[np.uint8], manifest: Manifest) -> NDArray[np.bool_]:
    """(classes,): those of which a stored mask has a pixel."""
    found: NDArray[np.bool_] = class_pixels(value_counts(mask), manifest.num_classes, manifest.task) > 0
    return found


def _rows(storage: Storage, manifest: Manifest, shard: ShardInfo) -> NDArray[np.bool_]:
    try:
        return np.stack([classes_in(mask, manifest) for mask in masks_of(storage, shard)])
    except (FileNotFoundError, pa.ArrowException) as error:
        raise CorruptionError(
            f"the masks of shard {shard.name} cannot be read: {error}; pack again"
        ) from error
