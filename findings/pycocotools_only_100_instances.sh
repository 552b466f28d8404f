#!/usr/bin/env bash
# Behaviour: COCOeval keeps the 100 best detections of an image, so a perfect result on 200
# objects scores AP 0.505. Raising params.maxDets makes stats[0] -1, because the summary looks for
# 100.
# Versions: pycocotools 2.0.11.
# Why it hurts: nuclei, trees, cars from the air: images with hundreds of instances cap the score
# far below 1, and better models do not show.
# Instead: set maxDets and take the mean of eval['precision'][..., -1] yourself.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq pycocotools==2.0.11 numpy==2.4.6
cd "$work"
venv/bin/python -W ignore - <<'PY'
import contextlib
import io
import sys
from importlib.metadata import version

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def expect(what, stated, seen):
    print(f"seen: {what}: {seen}")
    if seen != stated:
        sys.exit(f"changed: {what}: expected {stated}, seen {seen}")


libraries = ("pycocotools",)
print("library:", *(f"{name} {version(name)}" for name in libraries))
print("guess: a perfect prediction scores 1.0")
def score(count, most=None):
    things = [
        {"id": i + 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 64,
         "segmentation": [[10 * i, 0, 10 * i + 8, 0, 10 * i + 8, 8, 10 * i, 8]],
         "bbox": [10 * i, 0, 8, 8]}
        for i in range(count)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": [{"id": 1, "width": 10 * count, "height": 20}],
            "annotations": things, "categories": [{"id": 1}],
        }
        truth.createIndex()
        keys = ("image_id", "category_id", "segmentation", "bbox")
        found = [{key: thing[key] for key in keys} | {"score": 0.9} for thing in things]
        rating = COCOeval(truth, truth.loadRes(found), "segm")
        rating.params.maxDets = most or rating.params.maxDets
        rating.evaluate()
        rating.accumulate()
        rating.summarize()
    precision = rating.eval["precision"][..., 0, -1]
    return round(float(rating.stats[0]), 3), round(float(precision.mean()), 3)


expect("AP of 50 perfect objects", 1.0, score(50)[0])
expect("AP of 200 perfect objects", 0.505, score(200)[0])
expect("AP, mean precision with maxDets 500", (-1.0, 1.0), score(200, [1, 10, 500]))
PY
