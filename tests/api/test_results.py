"""What results print, and what notebooks show of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from html_page import HtmlPage
from unetpp.api.results import EvaluateResult, PackSummary, TrainResult, TuneResult
from unetpp.core.manifest import Task
from unetpp.inference.prediction import Prediction
from untrained_run import write_splits

SCORES = {"dice": 0.91234, "iou": 0.8}
LEVELS = {"1": SCORES, "2": {"dice": 0.95, "iou": None}}


def trained(folder: Path, epochs: int) -> TrainResult:
    folder.mkdir()
    lines = (
        f'{{"epoch": {e}, "val": {{"levels": {{"1": {{"dice": 0.5}}, "2": {{"dice": 0.{e}}}}}}}}}\n'
        for e in range(1, epochs + 1)
    )
    (folder / "metrics.jsonl").write_text("".join(lines))
    return TrainResult(str(folder), True, epochs, 1, 0.95, 0.9, LEVELS, 1.5, 28.7)


def swept(*front: dict[str, Any]) -> TuneResult:
    rows = [{"params": {"optim.lr": 0.001}, "num_params": 6609, "macs": 7} | row for row in front]
    best = {"trial": 3, "level": 1, "value": 0.9, "params": {"optim.lr": 0.001}}
    return TuneResult("runs/sweep", True, {"complete": 2, "failed": 1}, best, rows, [("memory", 1)])


def predicted(folder: Path, task: Task, mask: list[list[int]]) -> Prediction:
    manifest = write_splits(folder, task, [(8, 8)], None)
    return Prediction(np.array(mask, dtype=np.uint8), np.zeros((2, 2, 2), dtype=np.float32), manifest)


def shown(result: Any) -> HtmlPage:
    page = HtmlPage(result._repr_html_())
    assert page.open == []
    return page


def test_names_stay_text() -> None:
    page = shown(PackSummary("<b>", "00001", {"train": 3}, []))
    assert "b" not in page.tags
    assert "<b>" in page.text
    assert "train=3" in page.text


def test_training_prints_lines_and_shows_levels_and_curves(tmp_path) -> None:
    result = trained(tmp_path / "run", epochs=3)
    assert "levels: Dice of level 1=0.9123, Dice of level 2=0.95" in repr(result)
    page = shown(result)
    assert "svg" in page.tags
    assert "levelDiceIoU10.91230.8" in page.text
    assert "validation Dice" in page.text
    assert "svg" not in shown(trained(tmp_path / "short", epochs=1)).tags


def test_sweep_prints_its_front_and_shows_it_as_table_and_curve() -> None:
    rows = ({"trial": 3, "level": 1, "value": 0.9, "latency_s": 0.0021},
            {"trial": 4, "level": 2, "value": 0.95, "latency_s": 0.004})  # fmt: skip
    assert "pareto: trial 3 level 1: 0.9000; trial 4 level 2: 0.9500" in repr(swept(*rows))
    page = shown(swept(*rows))
    assert "310.92.16609optim.lr=0.001" in page.text
    assert "svg" in page.tags
    assert "svg" not in shown(swept(rows[0])).tags
    assert "pareto" not in shown(swept()).text


def test_evaluation_shows_levels_and_classes() -> None:
    classes = [{"name": "cell <1>", "precision": 0.5, "recall": 0.25, **SCORES}]
    page = shown(EvaluateResult("test", 7, 2, 0.9, 0.8, 0.7, 0.6, 0, classes, LEVELS))
    assert "classDiceIoUprecisionrecallcell <1>0.91230.80.50.25" in page.text
    assert "20.95none" in page.text


@pytest.mark.parametrize(
    ("task", "mask", "shares"),
    [
        ("binary", [[0, 1], [1, 1]], {"cell": 0.75}),
        ("multiclass", [[0, 1], [2, 2]], {"sky": 0.25, "road": 0.25, "car": 0.5}),
        ("multilabel", [[0, 1], [3, 2]], {"vessel": 0.5, "lesion": 0.5}),
    ],
)
def test_prediction_says_what_part_each_class_has_and_shows_the_mask(tmp_path, task, mask, shares) -> None:
    prediction = predicted(tmp_path, task, mask)
    assert prediction.shares() == shares
    assert repr(prediction).startswith("Prediction 2 x 2: ")
    page = shown(prediction)
    (picture,) = page.references
    assert picture.startswith("data:image/png;base64,")
    assert all(name in page.text for name in shares)
