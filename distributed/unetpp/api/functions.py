"""The functions of `import unetpp`: the verbs of the command line, called from Python."""

import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from unetpp.api.packing import Folders, PackRequest, pack_folders
from unetpp.api.results import (
    EvaluateResult,
    ExportResult,
    PackSummary,
    PredictResult,
    TrainResult,
    TuneResult,
)
from unetpp.api.training import train_run
from unetpp.api.tuning import load_sweep_request, tune_sweep
from unetpp.api.watchers import Silent, SweepWatcher
from unetpp.config import load_config
from unetpp.inference.batch import PredictOptions, predict_paths
from unetpp.inference.evaluate import evaluate as score_run
from unetpp.inference.export import export_run
from unetpp.inference.predictor import Predictor

__all__ = ["evaluate", "export", "load", "pack", "predict", "train", "tune"]

Place = str | os.PathLike[str]
"""A local path or a URI."""
T = TypeVar("T")


def pack(
    images: Place | Mapping[str, Place], masks: Place | Mapping[str, Place], out: Place, **options: Any
) -> PackSummary:
    """Pack image and mask files into a dataset.

    Args:
        images: a folder or URI; a mapping names one for each split: {"train": ..., "test": ...}.
        masks: likewise.
        out: where the dataset goes.
        options: fields of `PackRequest`: val, test, size, tile, classes, group, strict, overwrite, ...

    Raises:
        UserError: nothing can be packed, or a place cannot be used.
    """
    request = PackRequest(**options)
    result = pack_folders(_by_split(images), _by_split(masks), os.fspath(out), request, lambda _: None)
    manifest = result.manifest
    return PackSummary(
        uri=os.fspath(out),
        version=manifest.version,
        rows={name: split.rows for name, split in manifest.splits.items()},
        rejected=[(rejection.file, rejection.reason) for rejection in result.rejections],
    )


def train(
    data: Place | None = None,
    out: Place | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    config: Path | None = None,
    resume: bool = False,
    watcher: SweepWatcher | None = None,
) -> TrainResult:
    """Train a nested U-Net; joins the Ray that this process is connected to, else starts one.

    Args:
        data: a packed dataset.
        out: the run's folder or URI.
        overrides: values by dotted field, such as {"train.epochs": 20, "model.depth": 3}.
        config: a YAML file that they override.
        resume: continue the run at `out`.
        watcher: hears of decisions and progress; silent by default.

    Raises:
        UserError: a value breaks a rule, or a place cannot be used.
    """
    loaded = load_config(config, _overrides(data, out, overrides))
    result = train_run(loaded, watcher or Silent(), resume=resume)
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
    watcher: SweepWatcher | None = None,
) -> TuneResult:
    """Search a space with Optuna on Ray Tune.

    Args:
        space: a Python file with `space(trial) -> dict`; with `resume` also the folder of a local sweep.
        data: a packed dataset.
        out: the sweep's folder or URI.
        overrides: values by dotted field, such as {"tune.trials": 32}.
        config: a YAML file that they override.
        resume: go on with the sweep at `out`.
        watcher: hears of decisions and progress; silent by default.

    Raises:
        UserError: the space or a value breaks a rule, or a place cannot be used.
    """
    given = _overrides(data, out, overrides)
    request, loaded = load_sweep_request(os.fspath(space), config, given, resume=resume)
    return _pick(TuneResult, tune_sweep(request, loaded, watcher or Silent(), resume=resume))


def evaluate(
    run: Place,
    *,
    split: str | None = None,
    data: Place | None = None,
    level: int | None = None,
    hd95: bool = False,
) -> EvaluateResult:
    """Score a run on a split of the dataset version that it was trained on, or of `data`.

    Raises:
        UserError: there is no such run, split or level.
    """
    uri = None if data is None else os.fspath(data)
    return _pick(EvaluateResult, score_run(os.fspath(run), split=split, data_uri=uri, level=level, hd95=hd95))


def predict(run: Place, source: Place, out: Place, **options: Any) -> PredictResult:
    """Segment image files; each mask has its image's stem, size and place, PNG for pictures.

    Args:
        run: a run's folder or URI.
        source: image file, folder, glob or URI.
        out: folder or URI for the masks.
        options: fields of `PredictOptions`: level, overlay, overwrite, strict, format, probabilities.

    Raises:
        UserError: nothing can be predicted, or with `strict` the first image that cannot.
    """
    places = os.fspath(run), os.fspath(source), os.fspath(out)
    return _pick(PredictResult, predict_paths(*places, PredictOptions(**options)))


def export(run: Place, out: Path | str, *, level: int | None = None, overwrite: bool = False) -> ExportResult:
    """Write the network pruned to one level into a .safetensors or .pt2 file, and check it.

    Raises:
        UserError: the file exists, or there is no such level.
    """
    return _pick(ExportResult, export_run(os.fspath(run), Path(out), level=level, overwrite=overwrite))


def load(run: Place, *, level: int | None = None) -> Predictor:
    """The best network of a run, ready to predict: `load(run).predict(array).mask`.

    Raises:
        UserError: there is no such run or level.
    """
    return Predictor.from_run(os.fspath(run), level=level)


def _by_split(places: Place | Mapping[str, Place]) -> Folders:
    if isinstance(places, Mapping):
        return {split: os.fspath(place) for split, place in places.items()}
    return {None: os.fspath(places)}


def _overrides(data: Place | None, out: Place | None, overrides: Mapping[str, Any] | None) -> list[str]:
    places = {"data.uri": data, "out": out}
    given = {key: os.fspath(place) for key, place in places.items() if place is not None}
    return [f"{key}={_written(value)}" for key, value in {**given, **(overrides or {})}.items()]


def _written(value: Any) -> str:
    """As on the command line, where values are YAML."""
    return "none" if value is None else str(list(value) if isinstance(value, tuple) else value)


def _pick(kind: type[T], values: Mapping[str, Any]) -> T:
    return kind(**{field.name: values[field.name] for field in fields(kind)})  # type: ignore[arg-type]  # a dataclass
