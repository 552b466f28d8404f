"""Cut a sequence into runs of bounded size."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

__all__ = ["cut_by_bytes"]

T = TypeVar("T")


def cut_by_bytes(items: Iterable[T], bytes_of: Callable[[T], int], limit_bytes: int) -> Iterator[list[T]]:
    """Neighbours, as many as stay within the limit; an item larger than that is alone."""
    run: list[T] = []
    held_bytes = 0
    for item in items:
        size = bytes_of(item)
        if run and held_bytes + size > limit_bytes:
            yield run
            run, held_bytes = [], 0
        run.append(item)
        held_bytes += size
    if run:
        yield run
