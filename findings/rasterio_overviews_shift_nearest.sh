#!/usr/bin/env bash
# Behaviour: a decimated nearest read takes the pixel at the centre of each block from a raster
# without overviews, and the top-left one after overviews (nearest) were built.
# Versions: rasterio 1.4.4.
# Why it hurts: previews and labels read at half size move by half a coarse pixel, or image and
# mask move apart, because someone ran gdaladdo on one of them; thin classes come and go.
# Instead: build or remove overviews on image and labels alike, or read full size and reduce
# yourself.
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
from rasterio.enums import Resampling
from rasterio.transform import from_origin


def expect(what, stated, seen):
    print(f"seen: {what}: {seen}")
    if seen != stated:
        sys.exit(f"changed: {what}: expected {stated}, seen {seen}")


libraries = ("rasterio",)
print("library:", *(f"{name} {version(name)}" for name in libraries))
print("guess: overviews make the read faster and give the same pixels")
def write(path, array, **options):
    options = {"driver": "GTiff", "transform": from_origin(0, len(array), 1, 1)} | options
    height, width = array.shape
    with rasterio.open(
        path, "w", height=height, width=width, count=1, dtype=array.dtype, **options
    ) as raster:
        raster.write(array, 1)


labels = np.arange(16, dtype=np.uint8).reshape(4, 4)
write("labels.tif", labels)
with rasterio.open("labels.tif") as raster:
    expect("half size, no overviews", [[5, 7], [13, 15]], raster.read(1, out_shape=(2, 2)).tolist())
with rasterio.open("labels.tif", "r+") as raster:
    raster.build_overviews([2], Resampling.nearest)
with rasterio.open("labels.tif") as raster:
    expect("half size, overviews", [[0, 2], [8, 10]], raster.read(1, out_shape=(2, 2)).tolist())
PY
