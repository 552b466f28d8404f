#!/usr/bin/env bash
# Behaviour: the COG driver builds the overviews of a class raster without a colour table with
# cubic resampling: half-size reads hold classes that are nowhere in the full raster. GTiff with
# build_overviews is asked for a filter, COG chooses.
# Versions: rasterio 1.4.4.
# Why it hurts: map viewers and training on reduced reads see phantom classes along every border
# (between 0 and 6: 1 to 5).
# Instead: overview_resampling='nearest' or 'mode' when writing a COG of classes.
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
from rasterio.transform import from_origin


def expect(what, stated, seen):
    print(f"seen: {what}: {seen}")
    if seen != stated:
        sys.exit(f"changed: {what}: expected {stated}, seen {seen}")


libraries = ("rasterio",)
print("library:", *(f"{name} {version(name)}" for name in libraries))
print("guess: integer rasters get nearest overviews, or at least no new values")
def write(path, array, **options):
    options = {"driver": "GTiff", "transform": from_origin(0, len(array), 1, 1)} | options
    height, width = array.shape
    with rasterio.open(
        path, "w", height=height, width=width, count=1, dtype=array.dtype, **options
    ) as raster:
        raster.write(array, 1)


labels = np.zeros((1024, 1024), np.uint8)
labels[100:701, 333:802] = 6
write("labels.tif", labels, driver="COG")
with rasterio.open("labels.tif") as raster:
    expect("overviews", [2], raster.overviews(1))
    expect("classes at full size", [0, 6], np.unique(raster.read(1)).tolist())
    half = raster.read(1, out_shape=(512, 512))
    print("seen: classes at half size:", np.unique(half).tolist())
    expect("only the two classes at half size", False, bool(np.isin(half, [0, 6]).all()))
write("nearest.tif", labels, driver="COG", overview_resampling="nearest")
with rasterio.open("nearest.tif") as raster:
    half = raster.read(1, out_shape=(512, 512))
    expect("with overview_resampling=nearest", [0, 6], np.unique(half).tolist())
PY
