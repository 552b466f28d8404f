"""Runs of neighbours stay within their limit and lose nothing."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from unetpp.data.dataset.chunks import cut_by_bytes


@given(st.lists(st.integers(0, 50)), st.integers(1, 100))
def test_cut_keeps_order_and_passes_the_limit_with_single_items_only(sizes: list[int], limit: int) -> None:
    runs = list(cut_by_bytes(range(len(sizes)), sizes.__getitem__, limit))
    assert [item for run in runs for item in run] == list(range(len(sizes)))
    assert all(len(run) == 1 or sum(sizes[item] for item in run) <= limit for run in runs)
    # Greedy: no run could have taken in the first item of the next.
    for run, following in itertools.pairwise(runs):
        assert sum(sizes[item] for item in run) + sizes[following[0]] > limit
