"""Read ahead in a thread, so that reading starts at once and goes on while the network trains."""

import queue
import threading
from collections.abc import Generator
from typing import TypeVar

__all__ = ["prefetch"]

T = TypeVar("T")

_POLL_S = 0.1


class _End:
    """The source is used up, or failed with `error`."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def prefetch(source: Generator[T, None, None], depth: int) -> Generator[T, None, None]:
    """The items of `source`, of which up to `depth` are read ahead from now on.

    Errors of the source are raised where its item would have come. Closing the result closes the source.
    """
    items: queue.Queue[T | _End] = queue.Queue(depth)
    closed = threading.Event()
    thread = threading.Thread(target=_fill, args=(source, items, closed), name="prefetch", daemon=True)
    thread.start()
    return _drain(items, closed, thread)


def _fill(source: Generator[T, None, None], items: "queue.Queue[T | _End]", closed: threading.Event) -> None:
    end = _End()
    try:
        for item in source:
            if not _put(items, item, closed):
                return
    except BaseException as error:  # raised again where the item would have come
        end = _End(error)
    finally:
        source.close()
    _put(items, end, closed)


def _put(items: "queue.Queue[T | _End]", item: T | _End, closed: threading.Event) -> bool:
    while not closed.is_set():
        try:
            items.put(item, timeout=_POLL_S)
        except queue.Full:
            continue
        return True
    return False


def _drain(
    items: "queue.Queue[T | _End]", closed: threading.Event, thread: threading.Thread
) -> Generator[T, None, None]:
    try:
        while True:
            item = items.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        closed.set()
        thread.join()
