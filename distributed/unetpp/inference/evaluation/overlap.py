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

    Versions packed by an earlier release keep no digests of their images, and neither does a fold's part of a
    version: then both are read, and images are compared as they were packed.

    Args:
        data: where the evaluated dataset lies.
        manifest: its version.
        split: that is evaluated.
        trained: place and version of the dataset of the training.

    Returns:
        None where what was trained on cannot be read.
    """
    place, version = trained
    in_parts = _is_in_parts(version) or _is_in_parts(manifest)
    if in_parts and manifest.fingerprint == version.fingerprint:
        return len(_rows(manifest, split) & _rows(version, "train"))
    try:
        known = None if in_parts else read_contents(place, version)
        found = None if in_parts else read_contents(data, manifest)
        if known is None or found is None:
            if manifest.fingerprint == version.fingerprint:
                return manifest.splits[split].rows if split == "train" else 0
            known = {"train": row_digests(place, version, "train")}
            found = {split: row_digests(data, manifest, split)}
    except (CorruptionError, StorageError):
        return None
    seen = set(known.get("train", ()))
    return sum(digest in seen for digest in found[split])


def _is_in_parts(manifest: Manifest) -> bool:
    """Whether splits have some rows of a shard, as those of a fold do."""
    shards = (shard for info in manifest.splits.values() for shard in info.shards)
    return any(shard.selected is not None for shard in shards)


def _rows(manifest: Manifest, split: str) -> set[tuple[str, int]]:
    """Shard and stored row of each row of a split."""
    shards = manifest.splits[split].shards if split in manifest.splits else ()
    return {
        (shard.sha256, row)
        for shard in shards
        for row in (range(shard.rows) if shard.selected is None else shard.selected)
    }
