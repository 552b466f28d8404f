"""Images through a pool of actors, each with the model; what an actor does with them does not know Ray.

Ray Data hands out the names of images: an actor reads, predicts and writes by itself. Neither pixels nor
masks pass between processes, and memory is that of the actors.
"""

import math
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ray
import ray.data
import torch

from unetpp.core.errors import UnetppError
from unetpp.core.storage import open_storage
from unetpp.data.ray_context import quiet_context
from unetpp.inference.inputs import InputImage
from unetpp.inference.many.options import Work
from unetpp.inference.many.worker import Outcome, Worker
from unetpp.inference.predictor import Predictor

__all__ = ["RayPool"]

_MOST_TOGETHER = 32
"""Images that an actor is given at once: a call takes about 5 ms, and progress is told by calls."""
_LEAST_CALLS = 8
"""Of each actor, so that all end at about the same time."""


@dataclass(frozen=True)
class RayPool:
    """A `Runner` on the connected Ray; a dead actor is replaced, and its images are predicted again."""

    workers: int
    gpus_per_worker: float = 0.0
    threads: int = 1
    """Of each worker on a CPU."""

    def __call__(self, work: Work, images: Sequence[InputImage]) -> Iterator[Outcome]:
        """Outcomes in the order in which actors end their parts.

        Raises:
            UnetppError: what an actor raised, such as a model that its node cannot read.
        """
        if not images:
            return
        together = max(1, min(_MOST_TOGETHER, len(images) // (_LEAST_CALLS * self.workers)))
        starts = range(0, len(images), together)
        rows = [{"images": pickle.dumps(images[start : start + together])} for start in starts]
        quiet_context(preserve_order=False)
        dataset = ray.data.from_items(rows, override_num_blocks=len(rows))
        predicted = dataset.map(
            _Actor,
            fn_constructor_args=(work, self.threads),
            compute=ray.data.ActorPoolStrategy(size=min(self.workers, len(rows))),
            num_cpus=1,
            num_gpus=self.gpus_per_worker,
        )
        for row in predicted.iter_rows():
            result = pickle.loads(row["outcomes"])  # noqa: S301 - made by _Actor in this call, never stored
            if isinstance(result, UnetppError):
                raise result
            yield from result

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
    """Loads the model with its first images; errors the program names travel as values."""

    def __init__(self, work: Work, threads: int) -> None:
        torch.set_num_threads(threads)
        self._work = work
        self._worker: Worker | None = None

    def __call__(self, row: dict[str, Any]) -> dict[str, bytes]:
        images = pickle.loads(row["images"])  # noqa: S301 - made by RayPool in this call, never stored
        try:
            self._worker = self._worker or self._load()
            return {"outcomes": pickle.dumps(list(self._worker(images)))}
        except UnetppError as error:
            return {"outcomes": pickle.dumps(error)}

    def _load(self) -> Worker:
        work = self._work
        predictor = Predictor.of(work.models, **work.options.of_model)
        return Worker(predictor, open_storage(work.out), work.options)
