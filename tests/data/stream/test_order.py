"""The order is exact: every row once an epoch, the same global batches for any number of workers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unetpp.data.stream.order import epoch_order, num_steps, sequential_order, step_share, units

shard_rows = st.lists(st.integers(1, 40), min_size=1, max_size=12)


def order_of(rows: list[int], *, seed: int = 0, epoch: int = 0, window_bytes: int = 50):
    return epoch_order(rows, rows, seed=seed, epoch=epoch, window_bytes=window_bytes)


def rows_of(order, first: int = 0, last: int | None = None):
    """(shard, row) at every position of a range of the epoch."""
    return [tuple(row) for row in order.rows(np.arange(order.num_rows)[first:last]).tolist()]


@given(shard_rows, st.integers(0, 5), st.integers(1, 200))
def test_epoch_order_any_shards_holds_every_row_once(rows, epoch, window_bytes):
    order = order_of(rows, epoch=epoch, window_bytes=window_bytes)
    expected = {(shard, row) for shard, count in enumerate(rows) for row in range(count)}
    assert order.num_rows == sum(rows)
    assert len(rows_of(order)) == sum(rows)
    assert set(rows_of(order)) == expected
    assert order.window_ends[-1] == sum(rows)


def test_epoch_order_depends_on_seed_and_epoch_only():
    rows = [30, 20, 25]
    first = rows_of(order_of(rows, seed=1, epoch=2))
    assert first == rows_of(order_of(rows, seed=1, epoch=2))
    assert first != rows_of(order_of(rows, seed=2, epoch=2))
    assert first != rows_of(order_of(rows, seed=1, epoch=3))


def test_epoch_order_of_equal_windows_draws_each_anew():
    order = epoch_order([40] * 3, [40] * 3, seed=0, epoch=0, window_bytes=40)
    rows = [row for _, row in rows_of(order)]
    assert rows[:40] != rows[40:80] != rows[80:]


def test_epoch_order_golden():
    order = epoch_order([3, 2, 4], [3, 2, 4], seed=5, epoch=1, window_bytes=6)
    # A change here changes what every seed means.
    assert rows_of(order) == [(2, 2), (2, 0), (2, 1), (1, 0), (1, 1), (2, 3), (0, 2), (0, 1), (0, 0)]


@given(shard_rows, st.integers(1, 60), st.data())
def test_epoch_order_any_positions_alone_are_those_of_the_whole(rows, window_bytes, data):
    order = order_of(rows, window_bytes=window_bytes)
    positions = data.draw(st.lists(st.integers(0, sum(rows) - 1), max_size=20))
    whole = rows_of(order)
    assert order.rows(np.array(positions, np.int64)).tolist() == [list(whole[at]) for at in positions]


@given(shard_rows, st.integers(10, 100))
def test_epoch_order_window_never_holds_more_than_its_bytes(rows, window_bytes):
    order = order_of(rows, window_bytes=window_bytes)
    start = 0
    for end in order.window_ends:
        shards = {shard for shard, _ in rows_of(order, start, end)}
        assert len(shards) == 1 or sum(rows[shard] for shard in shards) <= window_bytes
        start = end


@given(
    num_rows=st.integers(1, 200),
    batch_size=st.integers(1, 32),
    drop_last=st.booleans(),
    world_size=st.integers(1, 8),
)
def test_step_share_any_world_size_partitions_every_global_batch(num_rows, batch_size, drop_last, world_size):
    seen = []
    for step in range(num_steps(num_rows, batch_size, drop_last=drop_last)):
        shares = [
            step_share(step, num_rows=num_rows, batch_size=batch_size, rank=rank, world_size=world_size)
            for rank in range(world_size)
        ]
        assert len({len(share.positions) for share in shares}) == 1, "every rank must run the same shapes"
        counted = np.concatenate([share.positions[share.weights > 0] for share in shares])
        stop = min((step + 1) * batch_size, num_rows)
        assert counted.tolist() == list(range(step * batch_size, stop))
        seen += counted.tolist()
    expected = num_rows // batch_size * batch_size if drop_last else num_rows
    assert seen == list(range(expected))


def global_batches(order, *, batch_size: int, drop_last: bool, world_size: int, first_step: int = 0):
    """Rows that count of every global batch from a step on, put together from the ranks' shares."""
    num_rows = order.num_rows
    steps = num_steps(num_rows, batch_size, drop_last=drop_last)
    batches = []
    for first, last in units(order, batch_size=batch_size, steps=steps, first_step=first_step):
        for step in range(first, last):
            shares = [
                step_share(step, num_rows=num_rows, batch_size=batch_size, rank=rank, world_size=world_size)
                for rank in range(world_size)
            ]
            rows = np.concatenate([order.rows(share.positions[share.weights > 0]) for share in shares])
            batches.append([tuple(row) for row in rows.tolist()])
    return batches


@pytest.mark.slow
@given(
    rows=shard_rows,
    batch_size=st.integers(1, 24),
    window_bytes=st.integers(1, 120),
    drop_last=st.booleans(),
    before=st.integers(1, 8),
    after=st.integers(1, 8),
    data=st.data(),
)
def test_epoch_interrupted_at_any_step_and_resumed_with_any_workers_is_exact(
    rows, batch_size, window_bytes, drop_last, before, after, data
):
    order = order_of(rows, seed=7, epoch=3, window_bytes=window_bytes)
    options = {"batch_size": batch_size, "drop_last": drop_last}
    whole = global_batches(order, world_size=1, **options)
    cut = data.draw(st.integers(0, len(whole)))
    done = global_batches(order, world_size=before, **options)[:cut]
    rest = global_batches(order, world_size=after, first_step=cut, **options)
    assert done + rest == whole
    seen = [row for batch in whole for row in batch]
    assert len(seen) == len(set(seen))
    assert len(seen) == (sum(rows) // batch_size * batch_size if drop_last else sum(rows))
    assert {len(batch) for batch in whole[:-1]} <= {batch_size}


@given(shard_rows, st.integers(1, 16), st.integers(10, 100), st.booleans(), st.data())
def test_units_from_any_step_cover_the_rest_of_the_epoch_in_order(
    rows, batch_size, window_bytes, drop_last, data
):
    order = order_of(rows, window_bytes=window_bytes)
    steps = num_steps(sum(rows), batch_size, drop_last=drop_last)
    first_step = data.draw(st.integers(0, steps))
    ranges = list(units(order, batch_size=batch_size, steps=steps, first_step=first_step))
    assert [step for first, last in ranges for step in range(first, last)] == list(range(first_step, steps))


def test_units_of_a_step_need_at_most_two_windows_of_shards():
    rows = [10] * 20
    order = epoch_order(rows, rows, seed=0, epoch=0, window_bytes=30)
    for first, last in units(order, batch_size=8, steps=25):
        shards = {shard for shard, _ in rows_of(order, first * 8, last * 8)}
        assert len(shards) <= 6


def test_sequential_order_keeps_storage_order():
    order = sequential_order([2, 3], [2, 3], window_bytes=2)
    assert rows_of(order) == [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]
    assert order.window_ends.tolist() == [2, 5]


@pytest.mark.parametrize("world_size", [1, 2, 3, 8])
def test_step_share_short_last_batch_gives_each_rank_a_row(world_size):
    shares = [
        step_share(2, num_rows=17, batch_size=8, rank=r, world_size=world_size) for r in range(world_size)
    ]
    assert sum(share.weights.sum() for share in shares) == 1
    assert all(share.positions.tolist() == [16] for share in shares)
