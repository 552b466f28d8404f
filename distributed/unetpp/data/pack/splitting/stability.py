"""What a new version of a dataset does to the splits of the previous one, and how full its splits are."""

import logging
from collections import Counter
from collections.abc import Sequence

from unetpp.data.dataset.membership import Membership
from unetpp.data.pack.options import PackOptions
from unetpp.data.pack.shard_plan import PlannedShard

__all__ = ["membership_of", "say_splits"]

logger = logging.getLogger(__name__)

_OFF = 0.02
"""Share of all rows by which a split may miss its fraction before that is said."""


def membership_of(shards: Sequence[PlannedShard]) -> Membership:
    """The split of each source image."""
    return {row.source.pair.sample_id: shard.split for shard in shards for row in shard.rows}


def say_splits(shards: Sequence[PlannedShard], previous: Membership, options: PackOptions) -> None:
    """Say which images changed their split, and which split is far from its fraction."""
    now = membership_of(shards)
    stayed = [sample for sample, split in now.items() if previous.get(sample) == split]
    left_train = [s for s, split in now.items() if previous.get(s) == "train" and split != "train"]
    if stayed:
        logger.info("%d of %d images stay in the split of the version before", len(stayed), len(now))
    if left_train:
        logger.warning(
            "%d images that were in train are not any more, such as %s; runs trained on the version before "
            "have seen them",
            len(left_train), left_train[0],
        )  # fmt: skip
    if any(row.source.pair.split is not None for shard in shards for row in shard.rows[:1]):
        return
    rows: Counter[str] = Counter()
    for shard in shards:
        rows[shard.split] += len(shard.rows)
    total = sum(rows.values())
    for split, wanted in (("val", options.val), ("test", options.test)):
        if abs(rows[split] / total - wanted) > max(_OFF, 1 / len(now)):
            cause = ", as images stay where they were; another --out splits anew" if stayed else ""
            logger.warning(
                "%s has %.1f %% of the samples, %.1f %% were asked for%s",
                split, 100 * rows[split] / total, 100 * wanted, cause,
            )  # fmt: skip
