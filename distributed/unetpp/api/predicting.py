"""Prediction of many images: by this process, or by a pool of workers on Ray."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from unetpp.config.planning.hardware import available_cpus
from unetpp.core.errors import ConfigError
from unetpp.inference.batch import PredictOptions, Runner, predict_paths

__all__ = ["predict_images"]


def predict_images(
    models: str | Sequence[str],
    places: tuple[str, str],
    options: PredictOptions,
    *,
    workers: int | None = None,
    address: str | None = None,
    gpus_per_worker: float | None = None,
    on_image: Callable[[int, int], None] = lambda _done, _total: None,
) -> dict[str, Any]:
    """What `predict_paths` does, with so many processes.

    Args:
        models: a run or an exported file; of several the mean.
        places: images, folder for the masks.
        options: see `PredictOptions`.
        workers: processes with the model each; 0 or None is this one alone, None with an address as many as
            the cluster has GPUs or, without, CPUs.
        address: of a Ray cluster; None starts Ray here where there are workers.
        gpus_per_worker: a share of one below 1; by default the GPUs are shared among the workers.
        on_image: called with (images done, images in all).

    Raises:
        ConfigError: a number out of range.
        UserError: see `predict_paths`.
    """
    if workers is not None and workers < 0:
        raise ConfigError(f"--workers {workers} must be at least 0; 0 predicts in this process")
    if gpus_per_worker is not None and gpus_per_worker < 0:
        raise ConfigError(f"--gpus-per-worker {gpus_per_worker:g} must be at least 0")
    with _runner(workers, address, gpus_per_worker) as run:
        return predict_paths(models, *places, options, run=run, on_image=on_image)


@contextlib.contextmanager
def _runner(
    workers: int | None, address: str | None, gpus_per_worker: float | None
) -> Iterator[Runner | None]:
    if workers == 0 or (workers is None and address is None):
        yield None
        return
    from unetpp.launch.connect import connected
    from unetpp.pool.ray_pool import RayPool

    # On a cluster a worker has the one CPU that it reserves.
    threads = max(1, available_cpus() // workers) if workers and address is None else 1
    with connected(address, workers=workers or 1):
        yield RayPool.sized(workers, gpus_per_worker, threads=threads)
