"""Work in this process, or shared among processes on Ray."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from unetpp.config.planning.hardware import available_cpus
from unetpp.core.errors import ConfigError

__all__ = ["pool"]


@contextlib.contextmanager
def pool(
    workers: int | None, address: str | None, gpus_per_worker: float | None
) -> Iterator[Callable[[Any, Sequence[Any]], Iterator[Any]] | None]:
    """A `Runner` of predictions or evaluations on Ray, or None where this process works alone.

    Args:
        workers: processes with the model each; 0 or None is this one alone, None with an address as many as
            the cluster has GPUs or, without, CPUs.
        address: of a Ray cluster; None starts Ray here where there are workers.
        gpus_per_worker: a share of one below 1; by default the GPUs are shared among the workers.

    Raises:
        ConfigError: a number out of range.
    """
    if workers is not None and workers < 0:
        raise ConfigError(f"--workers {workers} must be at least 0; with 0 this process works alone")
    if gpus_per_worker is not None and gpus_per_worker < 0:
        raise ConfigError(f"--gpus-per-worker {gpus_per_worker:g} must be at least 0")
    if workers == 0 or (workers is None and address is None):
        yield None
        return
    # On a cluster a worker has the one CPU that it reserves.
    threads = max(1, available_cpus() // workers) if workers and address is None else 1
    with contextlib.ExitStack() as held:

        def run(work: Any, items: Sequence[Any]) -> Iterator[Any]:
            # Once all is known to be well: a mistake should not take as long as a start of Ray.
            from unetpp.launch.connect import connected
            from unetpp.pool.ray_pool import RayPool

            held.enter_context(connected(address, workers=workers or 1))
            return RayPool.sized(workers, gpus_per_worker, threads=threads)(work, items)

        yield run
