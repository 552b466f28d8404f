#!/usr/bin/env bash
# Behaviour: merge with method 'first' takes 0 for 'still empty' where the rasters have no nodata:
# a later raster overwrites every pixel of class 0 in an earlier one.
# Versions: rasterio 1.4.4.
# Why it hurts: mosaics of predicted tiles lose the background that the first tile decided; the
# overlap becomes a union of all objects.
# Instead: pass nodata=255 (a value that is no class) to merge, or declare it in the files.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq rasterio==1.4.4 numpy==2.4.6
cd "$work"
venv/bin/python -W ignore - <<'PY'
import sys
from importlib.metadata import version

import numpy as np
import rasterio
from rasterio.merge import merge
from rasterio.transform import from_origin


def expect(what, stated, seen):
    print(f"seen: {what}: {seen}")
    if seen != stated:
        sys.exit(f"changed: {what}: expected {stated}, seen {seen}")


libraries = ("rasterio",)
print("library:", *(f"{name} {version(name)}" for name in libraries))
print("guess: the first raster wins, so the overlap is class 0")
def write(path, array, **options):
    options = {"driver": "GTiff", "transform": from_origin(0, len(array), 1, 1)} | options
    height, width = array.shape
    with rasterio.open(
        path, "w", height=height, width=width, count=1, dtype=array.dtype, **options
    ) as raster:
        raster.write(array, 1)


write("first.tif", np.zeros((4, 4), np.uint8))
write("second.tif", np.full((4, 4), 5, np.uint8))
names = ["first.tif", "second.tif"]
expect("classes, method first", [5], np.unique(merge(names, method="first")[0]).tolist())
expect("classes, nodata=255", [0], np.unique(merge(names, method="first", nodata=255)[0]).tolist())
PY
