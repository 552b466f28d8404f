"""Prediction of many images, and evaluation of a split: by this process, or by a pool of workers on Ray."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from unetpp.api.pool import pool
from unetpp.inference.batch import PredictOptions, predict_paths
from unetpp.inference.evaluate import evaluate
from unetpp.inference.evaluation.options import evaluate_options

__all__ = ["evaluate_models", "predict_images"]


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
        workers: see `pool`.
        address: likewise.
        gpus_per_worker: likewise.
        on_image: called with (images done, images in all).

    Raises:
        ConfigError: a number out of range.
        UserError: see `predict_paths`.
    """
    with pool(workers, address, gpus_per_worker) as run:
        return predict_paths(models, *places, options, run=run, on_image=on_image)


def evaluate_models(
    models: Sequence[str],
    where: Mapping[str, Any],
    options: Mapping[str, Any],
    shared: Mapping[str, Any],
    on_rows: Callable[[int, int], None],
) -> dict[str, Any]:
    """What `evaluate` does, with so many processes.

    Args:
        models: runs and exported files; of several the mean.
        where: split, data_uri, level and dilation; None for the usual ones.
        options: of `evaluate_options`.
        shared: workers, address and gpus_per_worker, see `pool`.
        on_rows: called with (rows done, rows in all).

    Raises:
        UserError: see `pool`, `evaluate_options` and `evaluate`.
    """
    dilation = where["dilation"]
    asked = replace(evaluate_options(**options), dilation=None if dilation is None else tuple(dilation))
    places = {key: where[key] for key in ("split", "data_uri", "level")}
    with pool(**shared) as run:
        return evaluate(models, **places, options=asked, run=run, on_rows=on_rows)
