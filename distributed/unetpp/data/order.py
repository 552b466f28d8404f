"""The order of samples as a pure function of (shard rows, seed, epoch): numpy only.

Shards are permuted, cut into windows of at most `window_bytes` decoded bytes, and rows are permuted
inside each window, so that a reader holds one window and never a whole split. Position p of an epoch
belongs to global batch p // batch_size whatever the number of workers; a worker takes its contiguous
share of each global batch. State is therefore two integers: the epoch and the step in it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unetpp.core.seeds import rng
from unetpp.data.cut import cut_by_bytes

__all__ = ["EpochOrder", "StepShare", "epoch_order", "num_steps", "sequential_order", "step_share", "units"]


@dataclass(frozen=True)
class EpochOrder:
    """Rows of one split in epoch order.

    `rows` is int64 (samples, 2): shard index, row in the shard. `window_ends` are the epoch positions
    at which a window of shards is used up.
    """

    rows: NDArray[np.int64]
    window_ends: tuple[int, ...]


@dataclass(frozen=True)
class StepShare:
    """One worker's rows of one global batch.

    `positions` are epoch positions. The last batch of an epoch may not divide by the number of workers:
    a worker left short repeats a row of the batch with weight 0, so that every rank takes every step.
    """

    positions: NDArray[np.int64]
    weights: NDArray[np.float32]


def epoch_order(
    shard_rows: Sequence[int], shard_bytes: Sequence[int], *, seed: int, epoch: int, window_bytes: int
) -> EpochOrder:
    """Shuffle a split for one epoch; every row occurs exactly once."""
    generator = rng("order", seed, epoch)
    shards = generator.permutation(len(shard_rows))
    parts: list[NDArray[np.int64]] = []
    ends: list[int] = []
    for window in cut_by_bytes(shards.tolist(), shard_bytes.__getitem__, window_bytes):
        rows = _rows_of(window, shard_rows)
        parts.append(rows[generator.permutation(len(rows))])
        ends.append(sum(len(part) for part in parts))
    return EpochOrder(np.concatenate(parts), tuple(ends))


def sequential_order(
    shard_rows: Sequence[int], shard_bytes: Sequence[int], *, window_bytes: int
) -> EpochOrder:
    """Rows in storage order, in windows: for validation."""
    windows = list(cut_by_bytes(range(len(shard_rows)), shard_bytes.__getitem__, window_bytes))
    ends = np.cumsum([sum(shard_rows[s] for s in window) for window in windows])
    return EpochOrder(_rows_of(range(len(shard_rows)), shard_rows), tuple(ends.tolist()))


def num_steps(num_rows: int, batch_size: int, *, drop_last: bool) -> int:
    """Global batches in an epoch."""
    return num_rows // batch_size if drop_last else -(-num_rows // batch_size)


def step_share(step: int, *, num_rows: int, batch_size: int, rank: int, world_size: int) -> StepShare:
    """A worker's share of global batch `step`; the shares of all ranks partition the batch."""
    start, stop = step * batch_size, min((step + 1) * batch_size, num_rows)
    per_rank = -(-(stop - start) // world_size)
    positions = np.arange(start + rank * per_rank, start + (rank + 1) * per_rank, dtype=np.int64)
    weights = (positions < stop).astype(np.float32)
    return StepShare(np.where(positions < stop, positions, start), weights)


def units(
    order: EpochOrder, *, batch_size: int, steps: int, first_step: int = 0
) -> Iterator[tuple[int, int]]:
    """Cut an epoch into step ranges [first, last) that each need about one window of shards.

    A step that straddles two windows belongs to the earlier unit.
    """
    first = first_step
    for end in order.window_ends:
        last = min(-(-end // batch_size), steps)
        if last > first:
            yield first, last
            first = last


def _rows_of(shards: Sequence[int], shard_rows: Sequence[int]) -> NDArray[np.int64]:
    # rows: (rows of all given shards, 2)
    return np.concatenate(
        [np.stack([np.full(shard_rows[s], s), np.arange(shard_rows[s])], axis=1) for s in shards]
    ).astype(np.int64)
