#!/usr/bin/env bash
# Behaviour: the square (2,2)-(5,5) has 9 pixels in rasterio and pycocotools, which see pixels as
# areas, and 16 in Pillow's ImageDraw and skimage's polygon2mask, which see them as points.
# Versions: rasterio 1.4.4, pycocotools 2.0.11, Pillow 13.0.0, scikit-image 0.26.0.
# Why it hurts: masks burned by an annotation tool and by the training code differ by a rim; for
# an object 3 pixels wide that is an IoU of 0.56.
# Instead: use one rasteriser for truth and prediction, and shift by half a pixel between the
# conventions.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq \
    rasterio==1.4.4 pycocotools==2.0.11 Pillow==13.0.0 scikit-image==0.26.0 numpy==2.4.6
cd "$work"
venv/bin/python -W ignore - <<'PY'
import sys
from importlib.metadata import version

import numpy as np
from PIL import Image, ImageDraw
from pycocotools import mask as coco
from rasterio.features import rasterize
from skimage.draw import polygon2mask


def expect(what, stated, seen):
    print(f"seen: {what}: {seen}")
    if seen != stated:
        sys.exit(f"changed: {what}: expected {stated}, seen {seen}")


libraries = ("rasterio", "pycocotools", "Pillow", "scikit-image")
print("library:", *(f"{name} {version(name)}" for name in libraries))
print("guess: 9 pixels, the area of the square, everywhere")
square = [(2, 2), (5, 2), (5, 5), (2, 5)]
shape = {"type": "Polygon", "coordinates": [[*square, square[0]]]}
expect("rasterio", 9, int(rasterize([shape], (10, 10)).sum()))
flat = [float(value) for corner in square for value in corner]
expect("pycocotools", 9, int(coco.area(coco.frPyObjects([flat], 10, 10))[0]))
canvas = Image.new("L", (10, 10))
ImageDraw.Draw(canvas).polygon(square, fill=1)
expect("Pillow", 16, int(np.asarray(canvas).sum()))
expect("skimage", 16, int(polygon2mask((10, 10), square).sum()))
PY
