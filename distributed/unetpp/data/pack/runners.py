"""What carries out the passes of packing: a function over many items, results in the items' order."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

__all__ = ["SwitchingRunner", "TaskRunner", "run_here"]

In = TypeVar("In")
Out = TypeVar("Out")

_PROBE_S = 2.0
_WORTH_S = 15.0
"""Starting Ray took 4 s and its first tasks 2 s on two cores, so shorter work is done sooner without it."""


class TaskRunner(Protocol):
    """Applies a function to items, perhaps in parallel, and yields the results in order."""

    def __call__(self, function: Callable[[In], Out], items: Sequence[In]) -> Iterator[Out]: ...


def run_here(function: Callable[[In], Out], items: Sequence[In]) -> Iterator[Out]:
    """The runner of small sets: this process."""
    return map(function, items)


class SwitchingRunner:
    """Begins in this process and hands the rest to a parallel runner once much is left to do.

    `start_parallel` is called once, when first needed. The results are the same either way.
    """

    def __init__(
        self, start_parallel: Callable[[], TaskRunner], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._start_parallel = start_parallel
        self._clock = clock
        self._parallel: TaskRunner | None = None

    def __call__(self, function: Callable[[In], Out], items: Sequence[In]) -> Iterator[Out]:
        started_s = self._clock()
        for done, item in enumerate(items):
            if self._parallel is not None or self._is_long(done, len(items), self._clock() - started_s):
                if self._parallel is None:
                    self._parallel = self._start_parallel()
                yield from self._parallel(function, items[done:])
                return
            yield function(item)

    def _is_long(self, done: int, total: int, elapsed_s: float) -> bool:
        return elapsed_s > _PROBE_S and elapsed_s / done * (total - done) > _WORTH_S
