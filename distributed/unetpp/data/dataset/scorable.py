"""Whether a split can be scored at all, before anything is trained for it."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from unetpp.core.errors import InputError
from unetpp.core.manifest import IGNORE, Manifest
from unetpp.core.storage import Storage
from unetpp.data.dataset.stored_file import StoredFile

__all__ = ["require_scorable"]

_SPLIT = "val"


def require_scorable(storage: Storage, manifest: Manifest) -> None:
    """Refuse a validation split whose scores would say nothing, whatever the network predicts.

    Masks are read up to the first one that suffices, which as a rule is the first of all, and nothing else.

    Raises:
        InputError: every pixel is ignored, or none is of a class where the task has a background.
        StorageError: the storage refuses.
    """
    needs_foreground = manifest.task != "multiclass"
    if not needs_foreground and manifest.ignore_index is None:
        return
    counts = False
    try:
        for mask in _masks(storage, manifest):
            counted = mask[mask < 128] if manifest.task == "multilabel" else mask[mask != IGNORE]
            counts |= counted.size > 0
            if counted.any() if needs_foreground else counts:
                return
    except (FileNotFoundError, pa.ArrowException):
        return  # damage is found and named by whoever reads the shard for training
    if not counts:
        raise InputError(
            f"split {_SPLIT} of {storage.uri} must hold pixels that count; all of its pixels are ignored; "
            "check which mask value is meant to be ignored and pack again"
        )
    names = ", ".join(entry.name for entry in manifest.classes)
    raise InputError(
        f"split {_SPLIT} of {storage.uri} must hold a pixel of {names}, without which Dice says nothing; "
        f"no mask has one; pack again so that {_SPLIT} gets images with foreground"
    )


def _masks(storage: Storage, manifest: Manifest) -> Iterator[NDArray[np.uint8]]:
    """Pixels of the masks of each row group, flat, in storage order."""
    for shard in manifest.splits[_SPLIT].shards:
        with pq.ParquetFile(pa.PythonFile(StoredFile(storage, shard.name, shard.bytes), "r")) as file:
            for group in range(file.num_row_groups):
                for mask in file.read_row_group(group, columns=["mask"])["mask"]:
                    yield np.frombuffer(mask.as_buffer(), np.uint8)
