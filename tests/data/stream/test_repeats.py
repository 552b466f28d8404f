"""Samples drawn by repeat factors: each its share, and as exact an order as any other."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unetpp.data.stream.order import epoch_order

shards = st.lists(st.lists(st.floats(1, 8), min_size=1, max_size=20), min_size=1, max_size=8)


def order_of(repeats, *, seed=0, epoch=0, window_bytes=30):
    rows = [len(part) for part in repeats]
    return epoch_order(rows, rows, seed=seed, epoch=epoch, window_bytes=window_bytes, repeats=repeats)


def rows_of(order, positions=None):
    positions = np.arange(order.num_rows) if positions is None else np.array(positions, np.int64)
    return [tuple(row) for row in order.rows(positions).tolist()]


@pytest.mark.slow
@given(shards, st.integers(0, 3))
def test_each_row_of_a_window_has_its_share_rounded_down_or_up(repeats, epoch):
    order, start = order_of(repeats, epoch=epoch), 0
    assert order.num_rows == sum(map(len, repeats))
    for window, end in zip(order.windows, order.window_ends.tolist(), strict=True):
        drawn = Counter(rows_of(order, range(start, end)))
        total = sum(sum(repeats[shard]) for shard in window)
        for shard in window:
            for row, factor in enumerate(repeats[shard]):
                expected = factor / total * (end - start)
                assert expected - 1 - 1e-6 < drawn[shard, row] < expected + 1 + 1e-6
        start = end


@given(shards, st.data())
def test_any_positions_alone_are_those_of_the_whole(repeats, data):
    order = order_of(repeats)
    positions = data.draw(st.lists(st.integers(0, order.num_rows - 1), max_size=20))
    whole = rows_of(order)
    assert rows_of(order, positions) == [whole[at] for at in positions]


@given(shards)
def test_equal_factors_draw_every_row_once(repeats):
    rows = rows_of(order_of([[3.0] * len(part) for part in repeats]))
    assert len(set(rows)) == len(rows)


def test_epochs_draw_anew():
    repeats = [[1.0] * 30 + [4.0] * 3]
    drawn = [Counter(rows_of(order_of(repeats, epoch=epoch))) for epoch in range(8)]
    assert len({frozenset(found.items()) for found in drawn}) > 1
    seen = sum(drawn, Counter())
    each = 8 * 4 * 33 / 42  # the share of each of the three rare rows in eight epochs
    assert all(abs(seen[0, row] - each) < 8 for row in range(30, 33))
    assert min(seen[0, row] for row in range(30)) > 0


def test_golden():
    # A change here changes what every seed means.
    order = epoch_order([3, 2], [3, 2], seed=5, epoch=1, window_bytes=9, repeats=[[1, 1, 4], [1, 1]])
    assert rows_of(order) == [(0, 2), (0, 2), (0, 2), (1, 1), (0, 0)]
