"""Reading ahead keeps order and errors, starts at once and ends with its consumer."""

import threading

import pytest

from unetpp.data.prefetch import prefetch


def test_prefetch_keeps_every_item_in_order():
    assert list(prefetch((number for number in range(50)), depth=3)) == list(range(50))


def test_prefetch_starts_before_anything_is_asked_for():
    started = threading.Event()

    def source():
        started.set()
        yield 1

    items = prefetch(source(), depth=1)
    assert started.wait(10)
    assert list(items) == [1]


def test_prefetch_raises_the_error_after_the_items_before_it():
    def source():
        yield 1
        raise ValueError("shard 2 is broken")

    items = prefetch(source(), depth=4)
    assert next(items) == 1
    with pytest.raises(ValueError, match="shard 2 is broken"):
        next(items)


def test_prefetch_closed_early_closes_its_source():
    closed = threading.Event()

    def source():
        try:
            yield from range(1000)
        finally:
            closed.set()

    items = prefetch(source(), depth=2)
    assert next(items) == 0
    items.close()
    assert closed.is_set()


def test_prefetch_never_reads_further_ahead_than_its_depth():
    taken: list[int] = []

    def source():
        for number in range(100):
            taken.append(number)
            yield number

    items = prefetch(source(), depth=2)
    next(items)
    # One item delivered, two queued and at most one in the hand of the thread.
    assert len(taken) <= 5
    items.close()
    assert len(taken) <= 5
