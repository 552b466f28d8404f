"""How many rows of a split show an image that a network was trained on, whatever its name."""

from unetpp.core.errors import CorruptionError, StorageError
from unetpp.core.manifest import Manifest
from unetpp.core.storage import Storage
from unetpp.data.dataset.contents import read_contents, row_digests

__all__ = ["count_overlap"]


def count_overlap(
    data: Storage, manifest: Manifest, split: str, *, trained: tuple[Storage, Manifest]
) -> int | None:
    """Rows of the split whose image is one of the training's train split.

    Versions packed by an earlier release keep no digests of their images: then both are read, and images are
    compared as they were packed.

    Args:
        data: where the evaluated dataset lies.
        manifest: its version.
        split: that is evaluated.
        trained: place and version of the dataset of the training.

    Returns:
        None where what was trained on cannot be read.
    """
    place, version = trained
    try:
        known, found = read_contents(place, version), read_contents(data, manifest)
        if known is None or found is None:
            if manifest.fingerprint == version.fingerprint:
                return manifest.splits[split].rows if split == "train" else 0
            known = {"train": row_digests(place, version, "train")}
            found = {split: row_digests(data, manifest, split)}
    except (CorruptionError, StorageError):
        return None
    seen = set(known.get("train", ()))
    return sum(digest in seen for digest in found[split])
