"""The order of samples as a pure function of (shard rows, seed, epoch): numpy only.

Shards are permuted, cut into windows of at most `window_bytes` decoded bytes, and rows are permuted
inside each window, so that a reader holds one window and never a whole split. The rows of a window are
drawn from a random stream of its own: nobody computes the order of a whole split, which took 10 s and
400 MB where that has 100,000 shards. Position p of an epoch belongs to global batch p // batch_size
whatever the number of workers; a worker takes its contiguous share of each global batch. State is
therefore two integers: the epoch and the step in it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from unetpp.core.seeds import rng
from unetpp.data.dataset.chunks import cut_by_bytes

__all__ = [
    "EpochOrder",
    "StepShare",
    "ThinnedOrder",
    "epoch_order",
    "num_steps",
    "sequential_order",
    "step_share",
    "units",
]


@dataclass(frozen=True)
class EpochOrder:
    """Rows of one split in epoch order."""

    windows: tuple[tuple[int, ...], ...]
    """Shards of each window."""
    shard_rows: Sequence[int]
    key: tuple[int, int] | None
    """Seed and epoch, which with its number make a window's random stream; None keeps storage order."""
    repeats: Sequence[Sequence[float]] = ()
    """By shard and row: how often a row is drawn relative to its window's others; empty draws each once."""

    @property
    def num_rows(self) -> int:
        return int(self.window_ends[-1])

    @cached_property
    def window_ends(self) -> NDArray[np.int64]:
        """Epoch positions, one a window, at which its shards are used up."""
        return np.cumsum([sum(self.shard_rows[s] for s in window) for window in self.windows], dtype=np.int64)

    def rows(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """(N, 2): shard index and row in the shard at N epoch positions."""
        found = np.empty((len(positions), 2), np.int64)
        window_of = np.searchsorted(self.window_ends, positions, side="right")
        for window in np.unique(window_of).tolist():
            here = window_of == window
            start = self.window_ends[window - 1] if window else 0
            found[here] = self._window_rows(window)[positions[here] - start]
        return found

    def _window_rows(self, window: int) -> NDArray[np.int64]:
        rows = _rows_of(self.windows[window], self.shard_rows)
        if self.key is None:
            return rows
        generator = rng("order", *self.key, window)
        if self.repeats:
            weights = np.concatenate([np.asarray(self.repeats[s]) for s in self.windows[window]])
            rows = rows[_systematic_sample(weights, generator)]
        return rows[generator.permutation(len(rows))]


@dataclass(frozen=True)
class ThinnedOrder:
    """Evenly spaced rows of an order: position p is its position p * (its rows) // num_rows."""

    full: EpochOrder
    num_rows: int

    @property
    def window_ends(self) -> NDArray[np.int64]:
        """As of an `EpochOrder`; windows of which no row is taken end where the one before does."""
        return -(-self.full.window_ends * self.num_rows // self.full.num_rows)

    def rows(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """(N, 2): shard index and row in the shard at N positions."""
        return self.full.rows(positions * self.full.num_rows // self.num_rows)


@dataclass(frozen=True)
class StepShare:
    """One worker's rows of one global batch.

    `positions` are epoch positions. The last batch of an epoch may not divide by the number of workers:
    a worker left short repeats a row of the batch with weight 0, so that every rank takes every step.
    """

    positions: NDArray[np.int64]
    weights: NDArray[np.float32]


def epoch_order(
    shard_rows: Sequence[int],
    shard_bytes: Sequence[int],
    *,
    seed: int,
    epoch: int,
    window_bytes: int,
    repeats: Sequence[Sequence[float]] = (),
) -> EpochOrder:
    """Shuffle a split for one epoch; every row occurs exactly once, or by `repeats` as often as those say."""
    shards = rng("order", seed, epoch).permutation(len(shard_rows)).tolist()
    return EpochOrder(_windows(shards, shard_bytes, window_bytes), shard_rows, (seed, epoch), repeats)


def sequential_order(
    shard_rows: Sequence[int], shard_bytes: Sequence[int], *, window_bytes: int
) -> EpochOrder:
    """Rows in storage order, in windows: for validation."""
    return EpochOrder(_windows(range(len(shard_rows)), shard_bytes, window_bytes), shard_rows, None)


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
    order: EpochOrder | ThinnedOrder, *, batch_size: int, steps: int, first_step: int = 0
) -> Iterator[tuple[int, int]]:
    """Cut an epoch into step ranges [first, last) that each need about one window of shards.

    A step that straddles two windows belongs to the earlier unit.
    """
    first = first_step
    for end in order.window_ends.tolist():
        last = min(-(-end // batch_size), steps)
        if last > first:
            yield first, last
            first = last


def _systematic_sample(weights: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.int64]:
    """As many indices as weights, each its share of them rounded down or up (systematic resampling)."""
    ends = np.cumsum(weights / weights.sum()) * len(weights)
    points = np.arange(len(weights)) + generator.random()
    # The last end can lie a rounding error below the last point.
    return np.minimum(np.searchsorted(ends, points, side="right"), len(weights) - 1)


def _windows(
    shards: Iterable[int], shard_bytes: Sequence[int], window_bytes: int
) -> tuple[tuple[int, ...], ...]:
    return tuple(map(tuple, cut_by_bytes(shards, shard_bytes.__getitem__, window_bytes)))


def _rows_of(shards: Sequence[int], shard_rows: Sequence[int]) -> NDArray[np.int64]:
    # rows: (rows of all given shards, 2)
    return np.concatenate(
        [np.stack([np.full(shard_rows[s], s), np.arange(shard_rows[s])], axis=1) for s in shards]
    ).astype(np.int64)
