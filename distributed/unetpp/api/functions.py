"""The functions of `import unetpp`: the verbs of the command line, called from Python."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from unetpp.api.arrays import Arrays, pack_arrays
from unetpp.api.callbacks import Callback, watching
from unetpp.api.cross_validation import train_runs
from unetpp.api.exporting import MAX_DROP, export_for, export_one
from unetpp.api.packing import Folders, PackRequest, pack_folders
from unetpp.api.predicting import evaluate_models, predict_images
from unetpp.api.results import (
    EvaluateResult,
    ExportResult,
    PackSummary,
    PredictResult,
    TrainResult,
    TuneResult,
)
from unetpp.api.tuning import load_sweep_request, tune_sweep
from unetpp.config import load_config
from unetpp.core.errors import ConfigError, InputError
from unetpp.core.manifest import SPLITS
from unetpp.data.pack.pack import PackListener
from unetpp.inference.batch import PredictOptions
from unetpp.inference.ensemble.load import Averaging
from unetpp.inference.masks.decide import listed_thresholds
from unetpp.inference.predictor import Predictor
from unetpp.inference.targets.candidates import Target
from unetpp.report.packing import PREVIEW

__all__ = ["evaluate", "export", "load", "pack", "predict", "train", "tune"]

Place = str | os.PathLike[str]
"""A local path or a URI."""
T = TypeVar("T")


def pack(
    images: Place | Mapping[str, Place] | None = None,
    masks: Place | Mapping[str, Place] | None = None,
    out: Place | None = None,
    *,
    arrays: Arrays | Mapping[str, Arrays] | None = None,
    progress: bool = False,
    **options: Any,
) -> PackSummary:
    """Pack image and mask files, or arrays, into a dataset.

    Args:
        images: a folder or URI; a mapping names one for each split: {"train": ..., "test": ...}.
        masks: likewise.
        out: where the dataset goes.
        arrays: in place of both: (name, image H x W[ x C], mask H x W) of each sample, by split or not. A
            generator is taken one by one; the arrays lie below TMPDIR as NPY files until they are packed.
        progress: show it on stderr or in the notebook.
        options: fields of `PackRequest`: val, test, size, tile, classes, masks_are, threshold, group, ...

    Raises:
        UserError: nothing can be packed, what the masks mean is not clear, or a place cannot be used.
    """
    if out is None:
        raise InputError("out names no place; give the folder or URI of the new dataset")
    if (images is None or masks is None) if arrays is None else (images is not None or masks is not None):
        raise InputError("give images and masks, or arrays in place of both")
    uri, request = os.fspath(out), PackRequest(**options)
    with _pack_progress(shown=progress) as listener:
        if arrays is not None:
            result = pack_arrays(_by_split(arrays), uri, request, listener)
        else:
            assert images is not None
            assert masks is not None
            result = pack_folders(_folders(images), _folders(masks), uri, request, listener)
    manifest, understood = result.manifest, result.understood
    return PackSummary(
        uri=uri,
        version=manifest.version,
        rows={name: split.rows for name, split in manifest.splits.items()},
        rejected=[(rejection.file, rejection.reason) for rejection in result.rejections],
        task=understood.task,
        masks_are=understood.masks_are,
        classes={share.name: share.pixel_share for share in understood.classes},
        warnings=understood.warnings,
        preview=f"{os.fspath(out).rstrip('/')}/{PREVIEW}",
    )


def train(
    data: Place | None = None,
    out: Place | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    config: Path | None = None,
    resume: bool = False,
    progress: bool = False,
    callbacks: Sequence[Callback] = (),
) -> TrainResult:
    """Train a nested U-Net; joins the Ray that this process is connected to, else starts one.

    With "train.folds" the result's scores are those of all images, each by the fold that has not seen it.

    Args:
        data: a packed dataset.
        out: the run's folder or URI.
        overrides: values by dotted field, such as {"train.epochs": 20, "model.depth": 3}.
        config: a YAML file that they override.
        resume: continue the run at `out`.
        progress: show decisions and progress on stderr or in the notebook.
        callbacks: are called at its events.

    Raises:
        UserError: a value breaks a rule, or a place cannot be used.
    """
    loaded = load_config(config, _overrides(data, out, overrides))
    result = train_runs(loaded, watching(callbacks, progress=progress), resume=resume)
    scores = {name: result["metrics"].get(name) for name in ("dice", "iou")}
    return _pick(TrainResult, result | scores | {"levels": result["metrics"].get("levels", {})})


def tune(
    space: Place,
    data: Place | None = None,
    out: Place | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    config: Path | None = None,
    resume: bool = False,
    progress: bool = False,
    callbacks: Sequence[Callback] = (),
) -> TuneResult:
    """Search a space with Optuna on Ray Tune.

    Args:
        space: a Python file with `space(trial) -> dict`; with `resume` also the folder of a local sweep.
        data: a packed dataset.
        out: the sweep's folder or URI.
        overrides: values by dotted field, such as {"tune.trials": 32}.
        config: a YAML file that they override.
        resume: go on with the sweep at `out`.
        progress: show decisions and progress on stderr or in the notebook.
        callbacks: are called at its events.

    Raises:
        UserError: the space or a value breaks a rule, or a place cannot be used.
    """
    given = _overrides(data, out, overrides)
    request, loaded = load_sweep_request(os.fspath(space), config, given, resume=resume)
    watcher = watching(callbacks, progress=progress)
    result = tune_sweep(request, loaded, watcher, resume=resume)
    return _pick(TuneResult, {"candidates": (), "next_hour": None, **result})


def evaluate(
    run: Place | Sequence[Place],
    *,
    split: str | None = None,
    data: Place | None = None,
    level: int | None = None,
    dilation: Sequence[int] | None = None,
    workers: int | None = None,
    address: str | None = None,
    gpus_per_worker: float | None = None,
    progress: bool = False,
    **options: Any,
) -> EvaluateResult:
    """Score a run, an export or several together, on the training's dataset version or on `data`.

    Args:
        run: a run, or a file that `export` wrote; the mean of several.
        split: test, else val, unless given.
        data: another dataset.
        level: the deepest head that is used.
        dilation: of a run with `model.shared_dilations`.
        workers: processes with the model each, on Ray, which share the split; by default this one scores it.
        address: of a Ray cluster to work on.
        gpus_per_worker: a share of one below 1; by default the GPUs are shared among the workers.
        progress: show a bar.
        options: of `evaluate_options`: tta, average_levels, thresholds, min_object_px, boundaries,
            fit_thresholds, out, and of what is done to images before they are scored attack, epsilon and
            steps, or corruption and severity, see `Disturbance`.

    Raises:
        UserError: there is no such run, split or level, several differ, or images cannot be changed so.
    """
    uri = None if data is None else os.fspath(data)
    where = {"split": split, "data_uri": uri, "level": level, "dilation": dilation}
    shared = {"workers": workers, "address": address, "gpus_per_worker": gpus_per_worker}
    with _image_progress("evaluating", shown=progress) as on_rows:
        scores = evaluate_models(_listed(run), where, options, shared, on_rows)
    return _pick(EvaluateResult, scores)


def predict(
    run: Place | Sequence[Place],
    source: Place,
    out: Place,
    *,
    workers: int | None = None,
    address: str | None = None,
    gpus_per_worker: float | None = None,
    progress: bool = False,
    **options: Any,
) -> PredictResult:
    """Segment image files; each mask has its image's stem, size and form: PNG, NIfTI, DICOM SEG or GeoTIFF.

    Args:
        run: a run's folder or URI, or a file that `export` wrote; the mean of several.
        source: image file, folder, glob, packed dataset or URI.
        out: folder or URI for the masks.
        workers: processes with the model each, on Ray; by default this one predicts.
        address: of a Ray cluster to predict on.
        gpus_per_worker: a share of one below 1; by default the GPUs are shared among the workers.
        progress: show a bar.
        options: fields of `PredictOptions`: level, dilation, tta, average_levels, thresholds, min_object_px,
            overlay, overwrite, strict, format, probabilities, resume, split, review.

    Raises:
        UserError: nothing can be predicted, or with `strict` the first image that cannot.
    """
    places = os.fspath(source), os.fspath(out)
    asked = PredictOptions(**options | {"thresholds": listed_thresholds(options.get("thresholds"))})
    with _image_progress("predicting", shown=progress) as on_image:
        result = predict_images(
            _listed(run),
            places,
            asked,
            workers=workers,
            address=address,
            gpus_per_worker=gpus_per_worker,
            on_image=on_image,
        )
    return _pick(PredictResult, result)


def export(
    run: Place,
    out: Path | str,
    *,
    level: int | None = None,
    dilation: Sequence[int] | None = None,
    target: Target | None = None,
    max_drop: float | None = None,
    **options: Any,
) -> ExportResult:
    """Write the network pruned to one level into a file, check it, and write a model card beside it.

    Args:
        run: a run's folder or URI.
        out: a .safetensors, .pt2, .onnx or .xml (OpenVINO) file.
        level: head to keep; the deepest unless given.
        dilation: of a run with `model.shared_dilations`.
        target: "cpu" or "gpu": measure levels, engines and precisions here and write the fastest whose
            Dice on validation images is at most `max_drop` below the full network's.
        max_drop: see `target`; 0.01 unless given.
        options: precision ("float32" or "int8"), licence, overwrite.

    Raises:
        UserError: the file exists, its engine is not installed, there is no such level, or a target is given
            with what it chooses.
    """
    if target is not None:
        if level is not None or dilation is not None or "precision" in options:
            raise ConfigError("target chooses level and precision; leave level, dilation and precision out")
        drop = MAX_DROP if max_drop is None else max_drop
        return _pick(ExportResult, export_for(os.fspath(run), Path(out), target, max_drop=drop, **options))
    if max_drop is not None:
        raise ConfigError("max_drop is of a target; give target='cpu' or 'gpu', too")
    written = export_one(os.fspath(run), Path(out), level=level, dilation=dilation, **options)
    return _pick(ExportResult, written)


def load(
    run: Place | Sequence[Place],
    *,
    level: int | None = None,
    dilation: Sequence[int] | None = None,
    tta: bool = False,
    average_levels: bool = False,
) -> Predictor:
    """The best network of a run, or an exported one, ready to predict: `load(run).predict(array).mask`.

    Args:
        run: a run, or a file that `export` wrote; several predict together.
        level: head to use; the deepest unless given.
        dilation: of a run with `model.shared_dilations`.
        tta: average over the flips and quarter turns that the training's augmentation had.
        average_levels: average over the heads up to that of the level.

    Raises:
        UserError: there is no such run, file or level, or several differ in classes or images.
    """
    averaging = Averaging(tta=tta, levels=average_levels)
    return Predictor.of(_listed(run), level=level, dilation=dilation, averaging=averaging)


def _listed(places: Place | Sequence[Place]) -> list[str]:
    return [os.fspath(each) for each in ([places] if isinstance(places, str | os.PathLike) else places)]


def _by_split(given: T | Mapping[str, T]) -> Mapping[str | None, T]:
    if not isinstance(given, Mapping):
        return {None: given}
    if unknown := sorted(set(given) - set(SPLITS)):
        raise InputError(f"there is no split {unknown[0]!r}; use {', '.join(SPLITS)}")
    return {**given}


def _folders(places: Place | Mapping[str, Place]) -> Folders:
    by_split: Mapping[str | None, Place] = _by_split(places)
    return {split: os.fspath(place) for split, place in by_split.items()}


@contextmanager
def _image_progress(verb: str, *, shown: bool) -> Iterator[Callable[[int, int], None]]:
    if not shown:
        yield lambda _done, _total: None
        return
    from unetpp.api.progress.image_progress import ImageProgress

    with ImageProgress(verb) as progress:
        yield progress


@contextmanager
def _pack_progress(*, shown: bool) -> Iterator[PackListener | None]:
    if not shown:
        yield None
        return
    from unetpp.api.progress.data_progress import DataProgress

    with DataProgress() as progress:
        yield progress


def _overrides(data: Place | None, out: Place | None, overrides: Mapping[str, Any] | None) -> list[str]:
    places = {"data.uri": data, "out": out}
    given = {key: os.fspath(place) for key, place in places.items() if place is not None}
    return [f"{key}={_written(value)}" for key, value in {**given, **(overrides or {})}.items()]


def _written(value: Any) -> str:
    """As on the command line, where values are YAML."""
    return "none" if value is None else str(list(value) if isinstance(value, tuple) else value)


def _pick(kind: type[T], values: Mapping[str, Any]) -> T:
    return kind(**{field.name: values[field.name] for field in fields(kind)})  # type: ignore[arg-type]  # a dataclass
