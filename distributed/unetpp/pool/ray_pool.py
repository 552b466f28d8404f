"""Items through a pool of actors, each with the model; what an actor does with them does not know Ray.

Ray Data hands out names of images or parts of a split: an actor reads, predicts and writes by itself. Neither
pixels nor masks pass between processes, and memory is that of the actors.
"""

import math
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import ray
import ray.data
import torch

from unetpp.core.errors import UnetppError
from unetpp.core.process_memory import keep_freed_memory
from unetpp.data.ray_context import quiet_context

__all__ = ["RayPool", "Work"]

_MOST_TOGETHER = 32
"""Items that an actor is given at once: a call takes about 5 ms, and progress is told by calls."""
_LEAST_CALLS = 8
"""Of each actor, so that all end at about the same time."""

Item = TypeVar("Item")
Result = TypeVar("Result")
_Taken = TypeVar("_Taken", contravariant=True)
_Given = TypeVar("_Given", covariant=True)


class Work(Protocol[_Taken, _Given]):
    """What is done with items; it travels to actors."""

    def open(self) -> Callable[[Sequence[_Taken]], Iterable[_Given]]:
        """Load what it takes; called once by each actor."""
        ...


@dataclass(frozen=True)
class RayPool:
    """A `Runner` on the connected Ray; a dead actor is replaced, and what it had is done again."""

    workers: int
    gpus_per_worker: float = 0.0
    threads: int = 1
    """Of each worker on a CPU."""

    def __call__(self, work: Work[Item, Result], items: Sequence[Item]) -> Iterator[Result]:
        """Results in the order in which actors end their parts.

        Raises:
            UnetppError: what an actor raised, such as a model that its node cannot read.
        """
        if not items:
            return
        together = max(1, min(_MOST_TOGETHER, len(items) // (_LEAST_CALLS * self.workers)))
        starts = range(0, len(items), together)
        rows = [{"items": pickle.dumps(items[start : start + together])} for start in starts]
        quiet_context(preserve_order=False)
        dataset = ray.data.from_items(rows, override_num_blocks=len(rows))
        done = dataset.map(
            _Actor,
            fn_constructor_args=(work, self.threads),
            compute=ray.data.ActorPoolStrategy(size=min(self.workers, len(rows))),
            num_cpus=1,
            num_gpus=self.gpus_per_worker,
        )
        for row in done.iter_rows():
            results = pickle.loads(row["results"])  # noqa: S301 - made by _Actor in this call, never stored
            if isinstance(results, UnetppError):
                raise results
            yield from results

    @classmethod
    def sized(cls, workers: int | None, gpus_per_worker: float | None, *, threads: int = 1) -> "RayPool":
        """As large as asked for, else one worker for each free GPU or, where none is, each free CPU.

        Args:
            workers: in all.
            gpus_per_worker: by default the free ones shared among the workers, one at most.
            threads: see the field.
        """
        # Not those of the cluster: a job's own process may hold some.
        found = ray.available_resources()
        gpus = float(found.get("GPU", 0.0))
        if workers is None:
            each = gpus_per_worker or 1.0
            workers = max(1, int(gpus / each if gpus else found.get("CPU", 1.0)))
        if gpus_per_worker is None:
            gpus_per_worker = min(1.0, math.floor(1000 * gpus / workers) / 1000)
        return cls(workers, gpus_per_worker, threads)


class _Actor:
    """Opens its work with its first items; errors the program names travel as values."""

    def __init__(self, work: Work[Any, Any], threads: int) -> None:
        torch.set_num_threads(threads)
        keep_freed_memory()
        self._work = work
        self._opened: Callable[[Sequence[Any]], Iterable[Any]] | None = None

    def __call__(self, row: dict[str, Any]) -> dict[str, bytes]:
        items = pickle.loads(row["items"])  # noqa: S301 - made by RayPool in this call, never stored
        try:
            self._opened = self._opened or self._work.open()
            return {"results": pickle.dumps(list(self._opened(items)))}
        except UnetppError as error:
            return {"results": pickle.dumps(error)}
