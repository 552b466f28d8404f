"""Run the passes of packing as Ray Data map tasks; what they compute does not know Ray."""

import pickle
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import ray.data

from unetpp.core.errors import UnetppError
from unetpp.data.ray_context import quiet_context

__all__ = ["RayRunner"]

In = TypeVar("In")
Out = TypeVar("Out")

_ITEMS_PER_TASK = 16
_BYTES_PER_TASK = 2**20
"""Small items share a task up to these limits: starting one costs about 5 ms."""


class RayRunner:
    """A TaskRunner on the connected Ray cluster; at most `workers` tasks run at once.

    A task holds one shard, so memory is bounded by `workers` shards; only summaries come back to the driver.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._tasks = ray.data.TaskPoolStrategy(size=workers)

    def __call__(self, function: Callable[[In], Out], items: Sequence[In]) -> Iterator[Out]:
        """Results in the items' order.

        Raises:
            UnetppError: what the function raised, as it was raised.
        """
        rows = [{"item": pickle.dumps(item)} for item in items]
        blocks = min(len(rows), self._num_tasks(rows))
        quiet_context(preserve_order=True)
        dataset = ray.data.from_items(rows, override_num_blocks=blocks)
        mapped = dataset.map(_Task(function), num_cpus=1, compute=self._tasks)
        for row in mapped.iter_rows():
            result = pickle.loads(row["result"])  # noqa: S301 - made by _Task in this run, never stored
            if isinstance(result, UnetppError):
                raise result
            yield result

    def _num_tasks(self, rows: Sequence[dict[str, bytes]]) -> int:
        by_count = -(-len(rows) // _ITEMS_PER_TASK)
        by_bytes = -(-sum(len(row["item"]) for row in rows) // _BYTES_PER_TASK)
        return max(by_count, by_bytes, 4 * self._workers)


class _Task:
    """Calls the function in a worker; errors the program names travel as values, free of Ray's wrapping."""

    def __init__(self, function: Callable[[In], Out]) -> None:
        self._function = function

    def __call__(self, row: dict[str, bytes]) -> dict[str, bytes]:
        item = pickle.loads(row["item"])  # noqa: S301 - made by RayRunner in this run, never stored
        try:
            result = self._function(item)
        except UnetppError as error:
            return {"result": pickle.dumps(error)}
        return {"result": pickle.dumps(result)}
