"""Reading ahead keeps order and errors, starts at once and ends with its consumer."""

import queue
import threading

import pytest

from unetpp.data.stream.prefetch import Prefetch


def test_prefetch_keeps_every_item_in_order():
    assert list(Prefetch((number for number in range(50)), depth=3)) == list(range(50))


def test_prefetch_starts_before_anything_is_asked_for():
    started = threading.Event()

    def source():
        started.set()
        yield 1

    items = Prefetch(source(), depth=1)
    assert started.wait(10)
    assert list(items) == [1]


def test_prefetch_raises_the_error_after_the_items_before_it():
    def source():
        yield 1
        raise ValueError("shard 2 is broken")

    items = Prefetch(source(), depth=4)
    assert next(items) == 1
    with pytest.raises(ValueError, match="shard 2 is broken"):
        next(items)


def test_prefetch_that_ended_stays_ended():
    items = Prefetch((number for number in range(2)), depth=1)
    assert [list(items), list(items)] == [[0, 1], []]


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_prefetch_closed_early_closes_its_source_and_ends_its_thread(taken):
    threads, closed = set(threading.enumerate()), threading.Event()

    def source():
        try:
            yield from range(1000)
        finally:
            closed.set()

    items = Prefetch(source(), depth=2)
    assert [next(items) for _ in range(taken)] == list(range(taken))
    items.close()
    assert closed.is_set()
    assert set(threading.enumerate()) == threads
    assert list(items) == []
    items.close()


def test_prefetch_source_that_fails_while_closing_raises_where_its_end_would_have_come():
    class Failing:
        def __iter__(self):
            return iter([1])

        def close(self):
            raise ValueError("the shard cannot be closed")

    items = Prefetch(Failing(), depth=4)
    assert next(items) == 1
    with pytest.raises(ValueError, match="cannot be closed"):
        next(items)


def test_prefetch_never_reads_further_ahead_than_its_depth(monkeypatch):
    taken: list[int] = []
    full = threading.Event()

    class Counted(queue.Queue):
        def put(self, item, *, timeout):
            try:
                super().put(item, timeout=timeout)
            except queue.Full:
                full.set()
                raise

    monkeypatch.setattr("unetpp.data.stream.prefetch.queue.Queue", Counted)

    def source():
        for number in range(100):
            taken.append(number)
            yield number

    items = Prefetch(source(), depth=2)
    for delivered in range(3):
        full.clear()
        assert full.wait(10)
        # So many delivered, two queued and at most one in the hand of the thread, which found no room for it.
        assert len(taken) <= delivered + 3
        next(items)
    items.close()
