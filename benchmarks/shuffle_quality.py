"""How well windows of shards shuffle, against a full permutation of all rows.

Prints the table of distributed/unetpp/data/README.md for a split of 64 shards of 256 rows. Pure numpy.

    python benchmarks/shuffle_quality.py
"""

import argparse
import itertools
from collections.abc import Sequence

import numpy as np
from common import markdown
from numpy.typing import NDArray

from unetpp.data.stream.order import epoch_order

_SHARDS, _ROWS, _BATCH, _EPOCHS = 64, 256, 16, 8


def storage_index(rows: NDArray[np.int64], shard_rows: Sequence[int]) -> NDArray[np.int64]:
    """Place in storage of each row of an epoch, int64 (samples,)."""
    starts = np.concatenate([[0], np.cumsum(shard_rows)[:-1]])
    return starts[rows[:, 0]] + rows[:, 1]


def displacement(index: NDArray[np.int64]) -> float:
    """Mean distance between a row's place in the epoch and in storage, over the samples; random: 1/3."""
    return float(np.abs(np.arange(len(index)) - index).mean() / len(index))


def same_shard_pairs(shards: NDArray[np.int64], batch_size: int) -> float:
    """Share of the pairs inside a batch that lie in one shard; random: about 1 / shards."""
    batches = shards[: len(shards) // batch_size * batch_size].reshape(-1, batch_size)
    same = (batches[:, :, None] == batches[:, None, :]).sum() - batches.size
    return float(same / (batches.size * (batch_size - 1)))


def kept_together(one: NDArray[np.int64], other: NDArray[np.int64], batch_size: int) -> float:
    """Share of the pairs of a batch that share a batch in another epoch too; random: about 1 / batches."""
    batch_of = np.empty(len(other), np.int64)
    batch_of[other] = np.arange(len(other)) // batch_size
    return same_shard_pairs(batch_of[one], batch_size)


def quality(shards: int, rows: int, batch_size: int, window: int, epochs: int) -> dict[str, float]:
    """Means over epochs for windows of that many shards."""
    counts = [rows] * shards
    every = np.arange(shards * rows)
    orders = [
        epoch_order(counts, counts, seed=0, epoch=epoch, window_bytes=window * rows).rows(every)
        for epoch in range(epochs)
    ]
    indices = [storage_index(order, counts) for order in orders]
    return {
        "displacement": float(np.mean([displacement(index) for index in indices])),
        "same_shard_pairs": float(np.mean([same_shard_pairs(o[:, 0], batch_size) for o in orders])),
        "kept_together": float(
            np.mean([kept_together(a, b, batch_size) for a, b in itertools.pairwise(indices)])
        ),
        "shards_per_batch": float(
            np.mean([len(np.unique(b)) for o in orders for b in o[:, 0].reshape(-1, batch_size)])
        ),
    }


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    rows = []
    for window in (1, 2, 4, 8, 16, 64):
        found = quality(_SHARDS, _ROWS, _BATCH, window, _EPOCHS)
        name = "64 (full permutation)" if window == _SHARDS else str(window)
        rows.append([name, *found.values()])
    header = ["shards in a window", "displacement", "pairs of one shard", "pairs kept together"]
    print(markdown([*header, f"shards in a batch of {_BATCH}"], rows))


if __name__ == "__main__":
    main()
