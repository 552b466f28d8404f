"""Folds of a packed dataset for cross-validation: parts of its train and val rows, each validated on once.

A fold is a view: a manifest whose splits select rows of the same shards, so nothing is packed again.
"""

import math
from collections.abc import Mapping, Sequence

from unetpp.core.errors import ConfigError
from unetpp.core.manifest import Manifest, ShardInfo, SplitInfo
from unetpp.core.seeds import derive_seed
from unetpp.core.storage import Storage
from unetpp.data.dataset.stored_masks import read_strings

__all__ = ["FOLDED", "count_rows", "deal_groups", "fold_view", "row_groups"]

FOLDED = ("train", "val")
"""Splits whose rows are dealt to folds; test stays as it is."""


def row_groups(storage: Storage, manifest: Manifest) -> dict[str, list[str]]:
    """By shard of train and val, the group of each stored row. Only the groups travel.

    Raises:
        CorruptionError: a shard is missing or is none.
        StorageError: the storage refuses.
    """
    return {shard.name: read_strings(storage, shard, "group") for shard in _folded_shards(manifest)}


def count_rows(groups: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Rows of each group."""
    found: dict[str, int] = {}
    for group in (group for shard in groups.values() for group in shard):
        found[group] = found.get(group, 0) + 1
    return found


def deal_groups(rows: Mapping[str, int], folds: int, seed: int) -> dict[str, int]:
    """The fold of each group: a pure function of the groups, their rows and the seed.

    Groups are taken in the order of a hash of the seed and their name; each goes to the fold with the fewest
    rows. So no fold is empty, and folds differ by less than the rows of the largest group.

    Args:
        rows: of each group.
        folds: how many.
        seed: another gives other folds.

    Raises:
        ConfigError: there are fewer groups than folds.
    """
    if len(rows) < folds:
        fix = f"use train.folds={len(rows)}" if len(rows) > 1 else "add data"
        raise ConfigError(
            f"train.folds={folds} needs so many groups of images, which stay together; the train and val "
            f"rows have {len(rows)}; {fix}"
        )
    held = [0] * folds
    found: dict[str, int] = {}
    for group in sorted(rows, key=lambda name: (derive_seed("fold", seed, name), name)):
        found[group] = held.index(min(held))
        held[found[group]] += rows[group]
    return found


def fold_view(
    manifest: Manifest, groups: Mapping[str, Sequence[str]], fold_of: Mapping[str, int], fold: int
) -> Manifest:
    """The dataset as one fold sees it: its own rows are the split val, those of all others train.

    Statistics of pixels stay those of the packed train split, and so do the shares of the classes, whose
    pixels are told for as many rows as the fold trains on.

    Args:
        manifest: as it was packed.
        groups: see `row_groups`.
        fold_of: see `deal_groups`.
        fold: its number.
    """
    parts: dict[str, list[ShardInfo]] = {split: [] for split in FOLDED}
    for shard in _folded_shards(manifest):
        validates = [fold_of[group] == fold for group in groups[shard.name]]
        for split in FOLDED:
            rows = tuple(row for row, is_val in enumerate(validates) if is_val == (split == "val"))
            if rows:
                selected = None if len(rows) == len(validates) else rows
                parts[split].append(shard.model_copy(update={"rows": len(rows), "selected": selected}))
    splits = {
        split: SplitInfo(rows=sum(shard.rows for shard in shards), shards=tuple(shards))
        for split, shards in parts.items()
    }
    counted = manifest.splits["train"] if "train" in manifest.splits else manifest.splits["val"]
    # A class that occurs stays one that does.
    pixels = tuple(math.ceil(count * splits["train"].rows / counted.rows) for count in manifest.class_pixels)
    return manifest.model_copy(update={"splits": {**manifest.splits, **splits}, "class_pixels": pixels})


def _folded_shards(manifest: Manifest) -> list[ShardInfo]:
    return [shard for split in FOLDED if split in manifest.splits for shard in manifest.splits[split].shards]
