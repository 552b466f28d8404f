"""One training, or those of a cross-validation with the scores of all its images."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from unetpp.api.training import Fit, train_run
from unetpp.api.watchers import TrainWatcher
from unetpp.config import RunConfig
from unetpp.core.folds_folder import HEADLINE_SCORES, FoldsFolder
from unetpp.core.manifest import Manifest
from unetpp.core.rundir import RunDir
from unetpp.training.run.folds import Folds, new_folds, resumed_folds

__all__ = ["train_runs"]

_SPLIT = "val"
"""Of a fold's run: the rows that it was not trained on."""


def train_runs(
    config: RunConfig, watcher: TrainWatcher, *, resume: bool, fit: Fit | None = None
) -> dict[str, Any]:
    """Train as configured: once, or with `train.folds` each fold in turn and then score all images.

    Folds that have finished are not trained again by `resume`, nor scored.

    Args:
        config: of the training, or of what is given beside `resume`.
        watcher: hears of every training.
        resume: go on with the run or the cross-validation at the configured place.
        fit: see `train_run`.

    Returns:
        See `train_run`; of a cross-validation `metrics` are the out-of-fold scores, `folds` the number that
        has finished, and epochs and seconds are summed.

    Raises:
        UserError: something the caller can fix.
    """
    if resume and FoldsFolder(config.run_uri).exists():
        folds = resumed_folds(config)
    elif config.train.folds and not resume:
        folds = new_folds(config)
    else:
        return train_run(config, watcher, resume=resume, fit=fit)
    results: list[dict[str, Any]] = []
    for number in range(folds.plan.folds):
        watcher.note(f"fold {number} of 0 to {folds.plan.folds - 1}: {folds.folder.fold_uri(number)}")
        results.append(_train_fold(folds, number, watcher, fit))
        if not results[-1]["finished"]:
            return _summary(folds, results, {})
    return _summary(folds, results, _score(folds, watcher.note))


def _train_fold(folds: Folds, number: int, watcher: TrainWatcher, fit: Fit | None) -> dict[str, Any]:
    if RunDir(folds.folder.fold_uri(number)).exists():
        return train_run(folds.resumed_config(number), watcher, resume=True, fit=fit)
    return train_run(folds.new_config(number), watcher, resume=False, manifest=folds.view(number), fit=fit)


def _score(folds: Folds, note: Callable[[str], None]) -> dict[str, Any]:
    """Have every fold score its own validation rows, then all rows together."""
    from unetpp.inference.evaluation.out_of_fold import out_of_fold

    tables = []
    for number, uri in enumerate(folds.folder.fold_uris()):
        note(f"scoring the validation rows of fold {number}")
        tables.append(_scored(RunDir(uri), folds.manifest))
    scores, table = out_of_fold(tables, folds.manifest)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    folds.folder.write_scores(scores, bytes(sink.getvalue()))
    return scores


def _scored(run: RunDir, manifest: Manifest) -> pa.Table:
    """The scores of a fold's validation rows, computed unless its best checkpoint has them."""
    from unetpp.inference.evaluate import evaluate
    from unetpp.inference.evaluation.files import read_evaluations, read_table

    best, found = run.checkpoints.best_record(), read_evaluations(run.storage).get(_SPLIT)
    is_current = (
        best is not None
        and found is not None
        and found["step"] == best["step"]
        and found["dataset"]["fingerprint"] == manifest.fingerprint
    )
    if not is_current:
        evaluate(run.uri, split=_SPLIT)
    return read_table(run.storage, _SPLIT)


def _summary(folds: Folds, results: list[dict[str, Any]], scores: dict[str, Any]) -> dict[str, Any]:
    rates = [result["images_per_s"] for result in results if result["images_per_s"]]
    finished = [result for result in results if result["finished"]]
    return {
        "run": folds.folder.uri,
        "folds": len(finished),
        "epochs": sum(result["epochs"] for result in results),
        "finished": len(finished) == folds.plan.folds,
        "seconds": round(sum(result["seconds"] for result in results), 3),
        "wall_seconds": round(sum(result["wall_seconds"] for result in results), 3),
        "start_up_seconds": next((result["start_up_seconds"] for result in results), None),
        "images_per_s": round(sum(rates) / len(rates), 2) if rates else None,
        "best_epoch": None,
        "metrics": {key: scores[key] for key in HEADLINE_SCORES if key in scores},
    }
