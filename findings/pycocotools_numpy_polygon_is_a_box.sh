#!/usr/bin/env bash
# Behaviour: mask.frPyObjects takes a polygon as a list, but a NumPy array of the same numbers for
# a table of boxes x y width height; it reads the first four numbers of each row and says nothing.
# Versions: pycocotools 2.0.11.
# Why it hurts: polygons from NumPy (contours, augmentation) become rectangles of another size:
# annotations and metrics are wrong without an error.
# Instead: polygon.tolist() before frPyObjects.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq pycocotools==2.0.11 numpy==2.4.6
cd "$work"
venv/bin/python -W ignore - <<'PY'
import sys
from importlib.metadata import version

import numpy as np
from pycocotools import mask as coco


def expect(what, stated, seen):
    print(f"seen: {what}: {seen}")
    if seen != stated:
        sys.exit(f"changed: {what}: expected {stated}, seen {seen}")


libraries = ("pycocotools",)
print("library:", *(f"{name} {version(name)}" for name in libraries))
print("guess: an array and its list give the same mask, 36 pixels")
polygon = np.array([[2, 2, 8, 2, 8, 8, 2, 8]], float)
expect("area from the list", [36], coco.area(coco.frPyObjects(polygon.tolist(), 12, 12)).tolist())
expect("area from the array", [16], coco.area(coco.frPyObjects(polygon, 12, 12)).tolist())
box = coco.toBbox(coco.frPyObjects(polygon, 12, 12))[0].tolist()
expect("box x y width height from the array", [2.0, 2.0, 8.0, 2.0], box)
PY
