"""Read ahead in a thread, so that reading starts at once and goes on while the network trains."""

import queue
import threading
from collections.abc import Generator, Iterator
from typing import Generic, TypeVar

__all__ = ["Prefetch"]

T = TypeVar("T")

_POLL_S = 0.1


class _End:
    """The source is used up, or failed with `error`."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class Prefetch(Generic[T]):
    """The items of `source`, of which up to `depth` are read ahead from now on.

    Errors of the source are raised where its item would have come. Whoever makes one closes it, whether or
    not anything was taken: `close` ends the thread and closes the source.
    """

    def __init__(self, source: Generator[T, None, None], depth: int) -> None:
        self._items: queue.Queue[T | _End] = queue.Queue(depth)
        self._closed = threading.Event()
        self._ended = False
        arguments = (source, self._items, self._closed)
        self._thread = threading.Thread(target=_fill, args=arguments, name="prefetch", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if self._ended or self._closed.is_set():
            raise StopIteration
        item = self._items.get()
        if not isinstance(item, _End):
            return item
        self._ended = True
        if item.error is not None:
            raise item.error
        raise StopIteration

    def close(self) -> None:
        """End the thread, which closes the source; waits for the item that is being read."""
        self._closed.set()
        self._thread.join()


def _fill(source: Generator[T, None, None], items: "queue.Queue[T | _End]", closed: threading.Event) -> None:
    end = _End()
    try:
        _put_all(source, items, closed)
    except BaseException as error:  # raised again where the item would have come
        end = _End(error)
    _put(items, end, closed)


def _put_all(
    source: Generator[T, None, None], items: "queue.Queue[T | _End]", closed: threading.Event
) -> None:
    try:
        for item in source:
            if not _put(items, item, closed):
                return
    finally:
        source.close()


def _put(items: "queue.Queue[T | _End]", item: T | _End, closed: threading.Event) -> bool:
    while not closed.is_set():
        try:
            items.put(item, timeout=_POLL_S)
        except queue.Full:
            continue
        return True
    return False
