"""Whether a split can be scored at all, before anything is trained for it."""

import itertools

import pyarrow as pa

from unetpp.core.errors import InputError
from unetpp.core.manifest import IGNORE, MAX_LABELS, Manifest
from unetpp.core.storage import Storage
from unetpp.data.dataset.stored_masks import masks_of

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
        masks = (masks_of(storage, shard) for shard in manifest.splits[_SPLIT].shards)
        for mask in itertools.chain.from_iterable(masks):
            counted = mask[mask >> MAX_LABELS == 0] if manifest.task == "multilabel" else mask[mask != IGNORE]
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
