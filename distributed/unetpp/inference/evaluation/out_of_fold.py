"""Scores of a whole dataset, each image predicted by the fold that was not trained on it.

Shapes: N images, C classes; counts are tp, fp, fn and tn.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from unetpp.core.folds_folder import HEADLINE_SCORES
from unetpp.core.manifest import Manifest
from unetpp.inference.evaluation.per_image import COUNTS, PerImage
from unetpp.objective.metrics import SegmentationMetrics

__all__ = ["out_of_fold"]


def out_of_fold(tables: Sequence[pa.Table], manifest: Manifest) -> tuple[dict[str, Any], pa.Table]:
    """What the folds' validations say together.

    Args:
        tables: of each fold, see `PerImage.table`.
        manifest: of the dataset.

    Returns:
        rows, dice, iou, dice_per_image, iou_per_image, precision, recall, accuracy, classes, intervals (see
        `PerImage.intervals`), worst, and folds [{fold, rows, dice, iou, dice_per_image, iou_per_image}]; and
        the tables in one, with the column `fold`.
    """
    names = [entry.name for entry in manifest.classes]
    numbered = [
        table.add_column(0, "fold", pa.array([fold] * len(table), pa.int32()))
        for fold, table in enumerate(tables)
    ]
    whole = pa.concat_tables(numbered, promote_options="default")
    lines = PerImage(names)
    for row, counts in zip(whole.to_pylist(), _counts(whole, names), strict=True):
        lines.add({**row, "certainty": {}}, row["group"], counts)
    scores = {key: value for key, value in _scores(whole, manifest).items() if key != "levels"}
    by_fold = [
        {"fold": fold, "rows": len(table), **{key: _scores(table, manifest)[key] for key in HEADLINE_SCORES}}
        for fold, table in enumerate(tables)
    ]
    told = {"rows": len(whole), **scores, "intervals": lines.intervals(), "worst": lines.worst()}
    return {**told, "folds": by_fold}, whole


def _counts(table: pa.Table, names: Sequence[str]) -> NDArray[np.int64]:
    """(N, C, 4)."""
    columns = [[table[f"{kind}_{name}"].to_numpy() for kind in COUNTS] for name in names]
    return np.moveaxis(np.array(columns, dtype=np.int64), -1, 0)


def _scores(table: pa.Table, manifest: Manifest) -> dict[str, Any]:
    names = [entry.name for entry in manifest.classes]
    metrics = SegmentationMetrics(len(names), [0], manifest.task)
    metrics.images = len(table)
    metrics.counts[0] = torch.from_numpy(_counts(table, names).sum(axis=0))
    sums = [float(table[score].to_numpy().sum()) for score in ("dice", "iou")]
    metrics.image_sums[0] = torch.tensor(sums, dtype=torch.float64)
    return metrics.compute(names)
