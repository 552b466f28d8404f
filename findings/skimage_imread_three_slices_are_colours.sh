#!/usr/bin/env bash
# Behaviour: skimage.io.imread moves the first axis of a TIFF stack to the end where it has 3 or 4
# pages and the last axis does not: a stack of 3 slices reads as (H, W, 3), one of 5 as (5, H, W).
# tifffile gives (3, H, W).
# Versions: scikit-image 0.26.0, tifffile 2026.3.3.
# Why it hurts: a z-stack or time series changes its axes with the number of slices; nets take
# slices for colours, and only for the short stacks.
# Instead: tifffile.imread, and name the axes (series[0].axes).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq scikit-image==0.26.0 tifffile==2026.3.3 numpy==2.4.6
cd "$work"
venv/bin/python -W ignore - <<'PY'
import sys
from importlib.metadata import version

import numpy as np
import tifffile
from skimage.io import imread


def expect(what, stated, seen):
    print(f"seen: {what}: {seen}")
    if seen != stated:
        sys.exit(f"changed: {what}: expected {stated}, seen {seen}")


libraries = ("scikit-image", "tifffile")
print("library:", *(f"{name} {version(name)}" for name in libraries))
print("guess: the shape that was written, for every number of slices")
shapes = {}
for pages in (2, 3, 4, 5):
    tifffile.imwrite("stack.tif", np.zeros((pages, 16, 20), np.uint16), photometric="minisblack")
    shapes[pages] = imread("stack.tif").shape
    expect(f"tifffile, {pages} slices", (pages, 16, 20), tifffile.imread("stack.tif").shape)
expect("skimage, 2 slices", (2, 16, 20), shapes[2])
expect("skimage, 3 slices", (16, 20, 3), shapes[3])
expect("skimage, 4 slices", (16, 20, 4), shapes[4])
expect("skimage, 5 slices", (5, 16, 20), shapes[5])
PY
